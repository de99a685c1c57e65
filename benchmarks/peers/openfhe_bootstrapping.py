"""A bootstrap under OpenFHE, repeated on request; a stand-alone script for CPython 3.10.

FLEXIBLEAUTO rescaling, HYBRID key switching, and a sparse secret in encapsulation, which OpenFHE recommends:
weight 32 while the modulus is raised and 192 otherwise. The limits of modulus are those of uniform ternary
secrets all the same, as they are in OpenFHE's own check. That check uses the limits of 2018, so it is
switched off, and the modulus is measured instead: log2 QP in the description is log2 Q plus 60 bits for each
prime of P, which are counted in the serialised relinearisation key (none is above 2^60).
"""

import math
import os
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import openfhe
from bootstrapping_serving import Bootstrapper, PeerOptions, answers, message
from serving import answer_lines

AUXILIARY_BITS, SECRET = 60, openfhe.SPARSE_ENCAPSULATED
FEATURES = (openfhe.PKE, openfhe.KEYSWITCH, openfhe.LEVELEDSHE, openfhe.ADVANCEDSHE, openfhe.FHE)
Ciphertext = openfhe.Ciphertext


@dataclass(frozen=True)
class Keys:
    """An OpenFHE context with its key pair and depth."""

    context: openfhe.CryptoContext
    pair: openfhe.KeyPair
    depth: int

    @property
    def slots(self) -> int:
        """Numbers in one ciphertext."""
        return self.context.GetRingDimension() // 2


def make_context(degree: int, options: PeerOptions) -> tuple[openfhe.CryptoContext, int]:
    """A context and its depth; those of an earlier one are freed."""
    openfhe.ClearEvalMultKeys()
    openfhe.CryptoContext.ClearEvalAutomorphismKeys()
    openfhe.ReleaseAllContexts()
    used = openfhe.CryptoContext.GetBootstrapDepth(list(options.level_budget), SECRET)
    depth = used + options.levels_left + 1  # one more adjusts the scale before the next bootstrap
    parameters = openfhe.CCParamsCKKSRNS()
    parameters.SetSecurityLevel(openfhe.HEStd_NotSet)
    parameters.SetSecretKeyDist(SECRET)
    parameters.SetRingDim(degree)
    parameters.SetBatchSize(degree // 2)
    parameters.SetMultiplicativeDepth(depth)
    parameters.SetScalingTechnique(openfhe.FLEXIBLEAUTO)
    parameters.SetScalingModSize(options.scale_bits)
    parameters.SetFirstModSize(options.first_bits)
    parameters.SetKeySwitchTechnique(openfhe.HYBRID)
    parameters.SetNumLargeDigits(options.digits)
    parameters.SetCKKSDataType(openfhe.COMPLEX)
    context = openfhe.GenCryptoContext(parameters)
    for feature in FEATURES:
        context.Enable(feature)
    return context, depth


def make_keys(degree: int, options: PeerOptions) -> Keys:
    """Everything that a bootstrap of all slots needs."""
    context, depth = make_context(degree, options)
    context.EvalBootstrapSetup(
        list(options.level_budget), slots=degree // 2, BTSlotsEncoding=options.slots_first
    )
    pair = context.KeyGen()
    context.EvalMultKeyGen(pair.secretKey)
    context.EvalBootstrapKeyGen(pair.secretKey, degree // 2)
    return Keys(context, pair, depth)


def special_primes(keys: Keys, digits: int) -> int:
    """The primes of P, from the size of the relinearisation key: 2 digits (limbs + special) N words."""
    limbs = keys.depth + 1
    filled = math.ceil(limbs / math.ceil(limbs / digits))
    size = len(openfhe.SerializeEvalMultKeyString(openfhe.BINARY, ""))
    return math.floor(size / (2 * filled * 8 * keys.context.GetRingDimension())) - limbs


def input_level(keys: Keys, options: PeerOptions) -> int:
    """The lowest level that can be bootstrapped, counted from the highest as OpenFHE does."""
    return keys.depth - 1 - options.level_budget[1] * options.slots_first


def describe(keys: Keys, options: PeerOptions, log2_q: float, result: Ciphertext) -> dict[str, Any]:
    """Version, parameters as they are, levels as a bootstrap left them, and threads."""
    special = special_primes(keys, options.digits)
    output_level = result.GetLevel() + result.GetNoiseScaleDeg() - 1  # a pending rescale takes one
    return {
        "library": "OpenFHE",
        "version": openfhe.__version__,
        "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1),
        "ring_dimension": keys.context.GetRingDimension(),
        "scaling": "FLEXIBLEAUTO",
        "secret": "SPARSE_ENCAPSULATED",
        "scale_bits": options.scale_bits,
        "level_budget": list(options.level_budget),
        "slots_first": options.slots_first,
        "digits": options.digits,
        "limbs": keys.depth + 1,
        "special_limbs": special,
        "log2_q": log2_q,
        "log2_qp": log2_q + AUXILIARY_BITS * special,
        "levels_left": input_level(keys, options) - output_level,
    }


def values(keys: Keys, ciphertext: Ciphertext) -> np.ndarray:
    """The complex numbers in a ciphertext."""
    plaintext = keys.context.Decrypt(ciphertext, keys.pair.secretKey)
    plaintext.SetLength(keys.slots)
    return np.asarray(plaintext.GetCKKSPackedValueArray())


def prepare(degree: int, options: PeerOptions) -> Bootstrapper:
    """OpenFHE in one ring, after one bootstrap."""
    keys = make_keys(degree, options)
    expected = message(keys.slots)
    encode = keys.context.MakeCKKSPackedPlaintext
    # Only as exact integers: a modulus of more than 1,024 bits is no float.
    log2_q = math.log2(int(str(encode(expected).GetElementModulus())))
    ciphertext = keys.context.Encrypt(
        keys.pair.publicKey, encode(expected, level=input_level(keys, options), slots=keys.slots)
    )
    bootstrap = partial(keys.context.EvalBootstrap, ciphertext)
    description = describe(keys, options, log2_q, bootstrap())
    return Bootstrapper(bootstrap, partial(values, keys), expected, description)


if __name__ == "__main__":
    answer_lines(answers(prepare))
