"""CKKS operations under OpenFHE, answered one by one; a stand-alone script for CPython 3.10.

FIXEDMANUAL rescaling, because it alone leaves it to the caller when to rescale, so that no operation
hides one; the sigmoid took no longer in it than in FIXEDAUTO and FLEXIBLEAUTO, and has 7 bits less than
in the latter. HYBRID key switching; public-key encryption of the standard kind; a uniform ternary secret.
`openfhe_context` says how the modulus is measured. Decryption is timed with decoding, which adds OpenFHE's
noise, and without copying the values into NumPy.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import openfhe
from openfhe_context import describe_context, forget_contexts, make_context, make_parameters
from serving import (
    SIGMOID_INTERVAL,
    STEPS,
    Setting,
    Side,
    expected_values,
    inputs,
    serve,
    sigmoid,
    sigmoid_input,
    sigmoid_values,
)

SIGMOID_DEGREE = 27
Ciphertext = openfhe.Ciphertext


@dataclass(frozen=True)
class Keys:
    """An OpenFHE context with its key pair."""

    context: openfhe.CryptoContext
    pair: openfhe.KeyPair

    def encode(self, values: np.ndarray) -> openfhe.Plaintext:
        """The values in slots."""
        return self.context.MakeCKKSPackedPlaintext(values)

    def encrypt(self, plaintext: openfhe.Plaintext) -> Ciphertext:
        """Under the public key."""
        return self.context.Encrypt(self.pair.publicKey, plaintext)

    def decrypt(self, ciphertext: Ciphertext) -> openfhe.Plaintext:
        """Decrypted and decoded."""
        return self.context.Decrypt(ciphertext, self.pair.secretKey)


def make_keys(setting: Setting) -> Keys:
    """A context with relinearisation and rotation keys; those of an earlier one are freed."""
    forget_contexts()
    parameters = make_parameters(
        setting.degree, setting.depth, setting.scale_bits, setting.first_bits, setting.digits
    )
    parameters.SetSecretKeyDist(openfhe.UNIFORM_TERNARY)
    parameters.SetScalingTechnique(openfhe.FIXEDMANUAL)
    context = make_context(parameters)
    pair = context.KeyGen()
    context.EvalMultKeyGen(pair.secretKey)
    context.EvalRotateKeyGen(pair.secretKey, list(STEPS))
    return Keys(context, pair)


def describe(keys: Keys, setting: Setting) -> dict[str, Any]:
    """Version, parameters as they are, and threads."""
    log2_q = math.log2(keys.context.GetModulus())
    return {
        **describe_context(keys.context, setting.depth, setting.digits, log2_q),
        "scaling": "FIXEDMANUAL",
        "encryption": "public key",
    }


def multiply(context: openfhe.CryptoContext, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """The product, relinearised and rescaled."""
    product = context.EvalMult(x, y)
    context.RescaleInPlace(product)
    return product


def hoisted(context: openfhe.CryptoContext, x: Ciphertext) -> list[Ciphertext]:
    """All rotations from one decomposition."""
    order = 2 * context.GetRingDimension()
    digits = context.EvalFastRotationPrecompute(x)
    return [context.EvalFastRotation(x, step, order, digits) for step in STEPS]


def operations(keys: Keys, setting: Setting) -> dict[str, Callable[[], Any]]:
    """Every operation on the shared inputs."""
    context = keys.context
    a, b = inputs(setting.slots)
    plain_a, plain_b = keys.encode(a), keys.encode(b)
    x, y = keys.encrypt(plain_a), keys.encrypt(plain_b)
    last = context.Compress(x, 1)
    calls = {
        "encode": lambda: keys.encode(a),
        "encode and encrypt": lambda: keys.encrypt(keys.encode(a)),
        "encrypt": lambda: keys.encrypt(plain_a),
        "decrypt": lambda: keys.decrypt(x),
        "decrypt, last level": lambda: keys.decrypt(last),
        "add": lambda: context.EvalAdd(x, y),
        "multiply plain": lambda: context.EvalMult(x, plain_b),
        "multiply": lambda: multiply(context, x, y),
        "rotate": lambda: context.EvalRotate(x, STEPS[0]),
        "rotate 8, hoisted": lambda: hoisted(context, x),
    }
    if setting.sigmoid:
        z = keys.encrypt(keys.encode(sigmoid_input(setting.slots)))
        arguments = (sigmoid, z, *SIGMOID_INTERVAL, SIGMOID_DEGREE)
        calls["sigmoid"] = partial(context.EvalChebyshevFunction, *arguments)
    return calls


def values(keys: Keys, slots: int, operation: str, result: Any) -> np.ndarray:
    """The real numbers in an operation's result."""
    if isinstance(result, list):
        return np.stack([values(keys, slots, operation, one) for one in result])
    if operation == "encode":  # decoding alone is not offered
        result = keys.encrypt(result)
    plaintext = keys.decrypt(result) if isinstance(result, Ciphertext) else result
    plaintext.SetLength(slots)
    return plaintext.GetRealPackedValueArray()


def sigmoid_coefficients() -> list[float]:
    """OpenFHE's own Chebyshev series, whose first coefficient counts half there."""
    first, *others = openfhe.EvalChebyshevCoefficients(sigmoid, *SIGMOID_INTERVAL, SIGMOID_DEGREE)
    return [first / 2, *others]


def prepare(setting: Setting) -> Side:
    """OpenFHE under one setting."""
    keys = make_keys(setting)
    expected = expected_values(setting.slots)
    description = describe(keys, setting)
    if setting.sigmoid:
        expected["sigmoid"], error = sigmoid_values(sigmoid_coefficients(), setting.slots)
        description |= {"sigmoid_degree": SIGMOID_DEGREE, "sigmoid_error": error}
    return Side(operations(keys, setting), partial(values, keys, setting.slots), expected, description)


if __name__ == "__main__":
    serve(prepare)
