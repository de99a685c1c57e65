"""Parameters with all their keys, and the measurements that the tests share."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys, Parameters, PublicKey, SecretKey


@dataclasses.dataclass(frozen=True)
class Scheme:
    """One set of parameters with all its keys."""

    params: Parameters
    secret: SecretKey
    public: PublicKey
    keys: EvaluationKeys

    def numbers(self, *batch: int, seed: int = 0) -> np.ndarray:
        generator = np.random.default_rng(seed)
        shape = (*batch, self.params.slots)
        real = generator.uniform(-1, 1, shape)
        if self.params.ring.conjugate_invariant:
            return real
        return (real + 1j * generator.uniform(-1, 1, shape)) / np.sqrt(2)

    def encrypt(self, values: np.ndarray, **options: object) -> Ciphertext:
        """One row after the other, so that a single shape is compiled; tests of encryption have batches."""
        plaintext = ckks.encode(self.params, values, **options)
        batch = plaintext.data.shape[:-2]
        rows = np.asarray(plaintext.data).reshape(-1, *plaintext.data.shape[-2:])
        each = [
            ckks.encrypt(
                ckks.random_key(), self.secret, dataclasses.replace(plaintext, data=jnp.asarray(row))
            )
            for row in rows
        ]
        data = np.stack([np.asarray(one.data) for one in each])
        return each[0].replace(data=jnp.asarray(data.reshape(*batch, *data.shape[1:])))

    def decrypt(self, ciphertext: Ciphertext) -> np.ndarray:
        return np.asarray(ckks.decode(ckks.decrypt(self.secret, ciphertext)))

    def deviation(self, ciphertext: Ciphertext, expected: np.ndarray) -> float:
        """Of the error in a real slot or real part, times the scale."""
        error = self.decrypt(ciphertext) - expected
        return float(np.sqrt(np.mean(error.real**2)) * float(ciphertext.scale))


def make_scheme(params: Parameters) -> Scheme:
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(third, secret, relinearise=True, rotations=(1,))
    return Scheme(params, secret, ckks.public_key(second, secret), keys)
