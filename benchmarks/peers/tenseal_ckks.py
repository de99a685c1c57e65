"""CKKS operations under TenSEAL, answered one by one; a stand-alone script for TenSEAL's environment.

Through `tenseal.sealapi`, TenSEAL's binding of SEAL, and not `CKKSVector`, which copies its operands, and
offers no rotation and no product with a plaintext encoded before. One special prime of 60 bits,
as SEAL always has; one thread, as SEAL always uses. SEAL has no hoisting, and a polynomial of degree 27 in
the monomial basis, all that `CKKSVector.polyval` takes, has no right bits left on [-8, 8]: both are left
out. Encoding takes and decoding gives Python lists, which is the binding's own cost.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tenseal
from serving import STEPS, Setting, Side, expected_values, inputs, serve
from tenseal import sealapi as seal

_SPECIAL_BITS, _GENERATOR = 60, 3


@dataclass(frozen=True)
class Keys:
    """A SEAL context with everything that works on its ciphertexts."""

    context: Any
    scale: float
    encoder: Any
    encryptor: Any
    decryptor: Any
    evaluator: Any
    relinearisation: Any
    rotations: Any

    def encode(self, values: np.ndarray) -> Any:
        """The values in slots."""
        plaintext = seal.Plaintext()
        self.encoder.encode(values, self.scale, plaintext)
        return plaintext

    def encrypt(self, plaintext: Any) -> Any:
        """Under the public key."""
        return _returned(self.encryptor.encrypt, plaintext)

    def decrypt(self, ciphertext: Any) -> list[float]:
        """Decrypted and decoded."""
        plaintext = seal.Plaintext()
        self.decryptor.decrypt(ciphertext, plaintext)
        return self.encoder.decode_double(plaintext)


def _returned(function: Callable[..., None], *arguments: Any) -> Any:
    """What SEAL writes into its last argument."""
    result = seal.Ciphertext()
    function(*arguments, result)
    return result


def make_keys(setting: Setting) -> Keys:
    """A context with relinearisation and rotation keys; SEAL itself checks its table of 2018 too."""
    sizes = [setting.first_bits, *[setting.scale_bits] * setting.depth, _SPECIAL_BITS]
    parameters = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    parameters.set_poly_modulus_degree(setting.degree)
    parameters.set_coeff_modulus(seal.CoeffModulus.Create(setting.degree, sizes))
    context = seal.SEALContext(parameters, True, seal.SEC_LEVEL_TYPE.TC128)
    if not context.parameters_set():
        raise ValueError(f"SEAL refuses primes of {sizes} bits: {context.parameters_error_message()}.")
    generator = seal.KeyGenerator(context)
    public, relinearisation, rotations = seal.PublicKey(), seal.RelinKeys(), seal.GaloisKeys()
    generator.create_public_key(public)
    generator.create_relin_keys(relinearisation)
    elements = [pow(_GENERATOR, step, 2 * setting.degree) for step in STEPS]
    generator.create_galois_keys(elements, rotations)
    return Keys(
        context,
        2.0**setting.scale_bits,
        seal.CKKSEncoder(context),
        seal.Encryptor(context, public),
        seal.Decryptor(context, generator.secret_key()),
        seal.Evaluator(context),
        relinearisation,
        rotations,
    )


def describe(keys: Keys, setting: Setting) -> dict[str, Any]:
    """Version and parameters as they are."""
    primes = [prime.value() for prime in keys.context.key_context_data().parms().coeff_modulus()]
    return {
        "library": "TenSEAL",
        "version": tenseal.__version__,
        "threads": 1,
        "ring_dimension": setting.degree,
        "encryption": "public key",
        "limbs": len(primes) - 1,
        "special_limbs": 1,
        "log2_q": math.log2(math.prod(primes[:-1])),
        "log2_qp": math.log2(math.prod(primes)),
    }


def multiply(keys: Keys, x: Any, y: Any) -> Any:
    """The product, relinearised and rescaled."""
    product = _returned(keys.evaluator.multiply, x, y)
    keys.evaluator.relinearize_inplace(product, keys.relinearisation)
    keys.evaluator.rescale_to_next_inplace(product)
    return product


def operations(keys: Keys, setting: Setting) -> dict[str, Callable[[], Any]]:
    """Every operation that there is, on the shared inputs."""
    a, b = (vector.tolist() for vector in inputs(setting.slots))
    plain_a, plain_b = keys.encode(a), keys.encode(b)
    x, y = keys.encrypt(plain_a), keys.encrypt(plain_b)
    last = _returned(keys.evaluator.mod_switch_to, x, keys.context.last_parms_id())
    return {
        "encode": lambda: keys.encode(a),
        "encode and encrypt": lambda: keys.encrypt(keys.encode(a)),
        "encrypt": lambda: keys.encrypt(plain_a),
        "decrypt": lambda: keys.decrypt(x),
        "decrypt, last level": lambda: keys.decrypt(last),
        "add": lambda: _returned(keys.evaluator.add, x, y),
        "multiply plain": lambda: _returned(keys.evaluator.multiply_plain, x, plain_b),
        "multiply": lambda: multiply(keys, x, y),
        "rotate": lambda: _returned(keys.evaluator.rotate_vector, x, STEPS[0], keys.rotations),
    }


def values(keys: Keys, result: Any) -> np.ndarray:
    """The real numbers in an operation's result."""
    if isinstance(result, seal.Plaintext):
        result = keys.encoder.decode_double(result)
    return np.array(result if isinstance(result, list) else keys.decrypt(result))


def prepare(setting: Setting) -> Side:
    """TenSEAL under one setting."""
    keys = make_keys(setting)
    calls = operations(keys, setting)
    return Side(
        calls,
        lambda _operation, result: values(keys, result),
        expected_values(setting.slots),
        describe(keys, setting),
    )


if __name__ == "__main__":
    serve(prepare)
