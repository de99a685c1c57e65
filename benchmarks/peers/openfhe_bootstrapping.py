"""A bootstrap under OpenFHE, repeated on request; a stand-alone script for CPython 3.10.

FLEXIBLEAUTO rescaling, HYBRID key switching, and a sparse secret in encapsulation, which OpenFHE recommends:
weight 32 while the modulus is raised and 192 otherwise. The limits of modulus are those of uniform ternary
secrets all the same, as they are in OpenFHE's own check. `openfhe_context` says how the modulus is measured.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import openfhe
from bootstrapping_serving import Bootstrapper, PeerOptions, answers, message
from openfhe_context import LEVELLED, describe_context, forget_contexts, make_context, make_parameters
from serving import answer_lines

SECRET = openfhe.SPARSE_ENCAPSULATED
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


def context_of(degree: int, options: PeerOptions) -> tuple[openfhe.CryptoContext, int]:
    """A context and its depth; those of an earlier one are freed."""
    forget_contexts()
    used = openfhe.CryptoContext.GetBootstrapDepth(list(options.level_budget), SECRET)
    depth = used + options.levels_left + 1  # one more adjusts the scale before the next bootstrap
    parameters = make_parameters(degree, depth, options.scale_bits, options.first_bits, options.digits)
    parameters.SetSecretKeyDist(SECRET)
    parameters.SetScalingTechnique(openfhe.FLEXIBLEAUTO)
    parameters.SetCKKSDataType(openfhe.COMPLEX)
    return make_context(parameters, (*LEVELLED, openfhe.FHE)), depth


def make_keys(degree: int, options: PeerOptions) -> Keys:
    """Everything that a bootstrap of all slots needs."""
    context, depth = context_of(degree, options)
    context.EvalBootstrapSetup(
        list(options.level_budget), slots=degree // 2, BTSlotsEncoding=options.slots_first
    )
    pair = context.KeyGen()
    context.EvalMultKeyGen(pair.secretKey)
    context.EvalBootstrapKeyGen(pair.secretKey, degree // 2)
    return Keys(context, pair, depth)


def input_level(keys: Keys, options: PeerOptions) -> int:
    """The lowest level that can be bootstrapped, counted from the highest as OpenFHE does."""
    return keys.depth - 1 - options.level_budget[1] * options.slots_first


def describe(keys: Keys, options: PeerOptions, log2_q: float, result: Ciphertext) -> dict[str, Any]:
    """Version, parameters as they are, levels as a bootstrap left them, and threads."""
    output_level = result.GetLevel() + result.GetNoiseScaleDeg() - 1  # a pending rescale takes one
    return {
        **describe_context(keys.context, keys.depth, options.digits, log2_q),
        "scaling": "FLEXIBLEAUTO",
        "secret": "SPARSE_ENCAPSULATED",
        "scale_bits": options.scale_bits,
        "level_budget": list(options.level_budget),
        "slots_first": options.slots_first,
        "digits": options.digits,
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
