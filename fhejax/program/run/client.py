"""The client's half: numbers to ciphertexts and back, a few at a time so that memory stays small."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, SecretKey
from fhejax.ckks.parameters import Scale
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel


def _equal_parts(count: int) -> tuple[int, int]:
    """The number and size of parts of all ciphertexts: equal, so that one shape is compiled.

    A few ciphertexts go one by one.
    """
    blocks = current_device().blocks
    if count < blocks.encrypted_singly:
        return count, 1
    parts = max(1, math.ceil(count / blocks.encrypted))
    return parts, math.ceil(count / parts)


def encrypt_entries(
    random: jax.Array, secret: SecretKey, entries: np.ndarray, level: int, scale: Scale
) -> jax.Array:
    """The ciphertexts, uint32 [entry, 2, limb, N], of float64 numbers [entry, slot].

    Args:
        random: a cryptographic key, split so that each part has its own.
        secret: the key that encrypts.
        entries: one row for each ciphertext.
        level: of the ciphertexts.
        scale: of the ciphertexts.
    """
    parts, size = _equal_parts(len(entries))
    padded = np.zeros((parts * size, entries.shape[1]))
    padded[: len(entries)] = entries
    randoms = jax.random.split(random, parts)
    rows = [padded[i * size : (i + 1) * size] for i in range(parts)]
    data = [_encrypt(random, secret, part, level, scale) for random, part in zip(randoms, rows, strict=True)]
    return jnp.concatenate(data)[: len(entries)]


@functools.partial(kernel, static_argnames=("level", "scale"))
def _encrypt(
    random: jax.Array, secret: SecretKey, values: jax.Array | np.ndarray, level: int, scale: Scale
) -> jax.Array:
    plaintext = ckks.encode(secret.params, values, level=level, scale=scale)
    return ckks.encrypt(random, secret, plaintext).data


def decrypt_entries(secret: SecretKey, ciphertext: Ciphertext) -> np.ndarray:
    """The numbers, float64 [entry, slot], in ciphertexts with data [entry, poly, limb, N].

    Raises:
        ValueError: a secret that does not open them, or altered residues.
    """
    count = len(ciphertext.data)
    parts, size = _equal_parts(count)
    missing = parts * size - count
    data = jnp.pad(ciphertext.data, [(0, missing), (0, 0), (0, 0), (0, 0)])
    values = []
    for start in range(0, parts * size, size):
        part = ciphertext.replace(data=data[start : start + size])
        values.append(np.real(ckks.decode(ckks.decrypt(secret, part))))
    return np.concatenate(values)[:count]
