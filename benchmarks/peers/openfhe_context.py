"""What the scripts under OpenFHE share: a context whose modulus is measured; for CPython 3.10.

OpenFHE's own check of security uses the limits of 2018, which are larger than those of 2024, so it is
switched off, and the modulus is measured instead: log2 QP in the description is log2 Q plus 60 bits for each
prime of P, which are counted in the serialised relinearisation key (none is above 2^60).
"""

import math
import os
from typing import Any

import openfhe

AUXILIARY_BITS = 60
LEVELLED = (openfhe.PKE, openfhe.KEYSWITCH, openfhe.LEVELEDSHE, openfhe.ADVANCEDSHE)


def forget_contexts() -> None:
    """Free the keys and contexts of earlier settings."""
    openfhe.ClearEvalMultKeys()
    openfhe.CryptoContext.ClearEvalAutomorphismKeys()
    openfhe.ReleaseAllContexts()


def make_parameters(degree: int, depth: int, scale_bits: int, first_bits: int, digits: int) -> Any:
    """Parameters of CKKS in all slots of a ring, with hybrid key switching and no check of security."""
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetSecurityLevel(openfhe.HEStd_NotSet)
    parameters.SetRingDim(degree)
    parameters.SetBatchSize(degree // 2)
    parameters.SetMultiplicativeDepth(depth)
    parameters.SetScalingModSize(scale_bits)
    parameters.SetFirstModSize(first_bits)
    parameters.SetKeySwitchTechnique(openfhe.HYBRID)
    parameters.SetNumLargeDigits(digits)
    return parameters


def make_context(parameters: Any, features: tuple[Any, ...] = LEVELLED) -> openfhe.CryptoContext:
    """A context with these features."""
    context = openfhe.GenCryptoContext(parameters)
    for feature in features:
        context.Enable(feature)
    return context


def describe_context(
    context: openfhe.CryptoContext, depth: int, digits: int, log2_q: float
) -> dict[str, Any]:
    """Version, threads, ring and modulus, as they are."""
    special = special_primes(depth, digits, context.GetRingDimension())
    return {
        "library": "OpenFHE",
        "version": openfhe.__version__,
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        "ring_dimension": context.GetRingDimension(),
        "limbs": depth + 1,
        "special_limbs": special,
        "log2_q": log2_q,
        "log2_qp": log2_q + AUXILIARY_BITS * special,
    }


def special_primes(depth: int, digits: int, degree: int) -> int:
    """The primes of P, from the size of the relinearisation key: 2 digits (limbs + special) N words."""
    limbs = depth + 1
    filled = math.ceil(limbs / math.ceil(limbs / digits))
    size = len(openfhe.SerializeEvalMultKeyString(openfhe.BINARY, ""))
    return math.floor(size / (2 * filled * 8 * degree)) - limbs
