"""The client's half: numbers to ciphertexts and back, a few at a time so that memory stays small."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, PublicKey, SecretKey
from fhejax.ckks.encryption import encrypt_seeded
from fhejax.ckks.encryption.opening import real_numbers
from fhejax.ckks.keys.generation import expand_seed
from fhejax.ckks.parameters import Scale
from fhejax.program.run.filling import Filling
from fhejax.ring.one_executable import in_one_executable
from fhejax.ring.platform import current_device
from fhejax.ring.randomness import CHACHA20
from fhejax.ring.wide import kernel, wide


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
    random: jax.Array, holder: SecretKey | PublicKey, entries: np.ndarray, level: int, scale: Scale
) -> tuple[jax.Array, jax.Array | None]:
    """The ciphertexts of float64 numbers [*entry axes, slot], each with randomness of its own.

    Where launching takes time all parts are one executable.

    Args:
        random: a cryptographic key, split so that each ciphertext has its own.
        holder: the key that encrypts.
        entries: a row for each ciphertext.
        level: of the ciphertexts.
        scale: of the ciphertexts.

    Returns:
        Under a secret key the bodies, uint32 [*entry axes, 1, limb, N], and the seeds of the uniform halves,
        uint32 [*entry axes, 8]. Under a public key whole ciphertexts, uint32 [*entry axes, 2, limb, N], and
        None.
    """
    if current_device().launches_slowly:
        return in_one_executable(_encrypted_at_once, (random, holder, entries), (level, scale))
    rows = entries.reshape(-1, entries.shape[-1])
    found = _encrypted_in_parts(random, holder, rows, level, scale)
    return jax.tree.map(lambda a: a.reshape(*entries.shape[:-1], *a.shape[1:]), found)


def encrypt_samples(
    random: jax.Array,
    holder: SecretKey | PublicKey,
    entries: np.ndarray,
    filling: Filling,
    kept: tuple[int, ...],
    level: int,
    scale: Scale,
) -> tuple[jax.Array, jax.Array | None]:
    """`encrypt_entries` of samples that fill slots on the device, in the same executable.

    Args:
        random: a cryptographic key.
        holder: the key that encrypts.
        entries: float64 [entry, sample].
        filling: how they fill the slots of their blocks.
        kept: the axes of entries.
        level: of the ciphertexts.
        scale: of the ciphertexts.

    Returns:
        As of `encrypt_entries`, with a block and `kept` for the entry axes.
    """
    return in_one_executable(_samples_encrypted, (random, holder, entries), (filling, kept, level, scale))


def _samples_encrypted(
    random: jax.Array,
    holder: SecretKey | PublicKey,
    entries: jax.Array,
    filling: Filling,
    kept: tuple[int, ...],
    level: int,
    scale: Scale,
) -> tuple[jax.Array, jax.Array | None]:
    filled = filling.filled(entries, jnp).reshape(filling.blocks, *kept, filling.slots)
    return _encrypted_at_once(random, holder, filled, level, scale)


def _encrypted_in_parts(
    random: jax.Array, holder: SecretKey | PublicKey, entries: np.ndarray, level: int, scale: Scale
) -> tuple[jax.Array, jax.Array | None]:
    """The ciphertexts of rows [entry, slot], an executable for each part."""
    parts, size = _equal_parts(len(entries))
    padded = np.zeros((parts * size, entries.shape[1]))
    padded[: len(entries)] = entries
    # As words: JAX's key-reuse checker takes keys for used up when a mapped loop reorders them.
    randoms = jax.random.key_data(jax.random.split(random, parts * size))
    rows = [slice(i * size, (i + 1) * size) for i in range(parts)]
    found = [_encrypt(randoms[part], holder, padded[part], level, scale) for part in rows]
    data, seeds = jax.tree.map(lambda *a: jnp.concatenate(a)[: len(entries)], *found)
    return data, seeds


def _encrypted_at_once(
    random: jax.Array, holder: SecretKey | PublicKey, entries: jax.Array, level: int, scale: Scale
) -> tuple[jax.Array, jax.Array | None]:
    """The same of entries [*entry axes, slot], their parts in a loop."""
    count, slots = math.prod(entries.shape[:-1]), entries.shape[-1]
    parts = max(1, math.ceil(count / current_device().blocks.encrypted))
    size = math.ceil(count / parts)  # in all as many as in `_equal_parts`, and so the same randomness
    padded = jnp.pad(entries.reshape(count, slots), ((0, parts * size - count), (0, 0)))
    words = jax.random.key_data(jax.random.split(random, parts * size))
    given = words.reshape(parts, size, -1), padded.reshape(parts, size, slots)
    found = jax.lax.map(lambda part: _encrypt(part[0], holder, part[1], level, scale), given)
    return jax.tree.map(
        lambda a: a.reshape(parts * size, *a.shape[2:])[:count].reshape(*entries.shape[:-1], *a.shape[2:]),
        found,
    )


@functools.partial(kernel, static_argnames=("level", "scale"))
def _encrypt(
    randoms: jax.Array,
    holder: SecretKey | PublicKey,
    values: jax.Array | np.ndarray,
    level: int,
    scale: Scale,
) -> tuple[jax.Array, jax.Array | None]:
    """The ciphertexts of one part, of which a CPU computes one after the other."""
    plaintext = ckks.encode(holder.params, values, level=level, scale=scale)

    def encrypted(words_and_data: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array | None]:
        """The residues of one ciphertext, and the seed of its uniform half where that is not among them."""
        words, data = words_and_data
        random = jax.random.wrap_key_data(words, impl=CHACHA20)
        message = dataclasses.replace(plaintext, data=data)
        if isinstance(holder, PublicKey):
            return ckks.encrypt(random, holder, message).data, None
        seeded = encrypt_seeded(random, holder, message)
        return seeded.body[None], seeded.seed

    together = current_device().blocks.polynomials_drawn
    return jax.lax.map(encrypted, (randoms, plaintext.data), batch_size=together)


@functools.partial(kernel, static_argnames="moduli")
@wide
def expand_bodies(bodies: jax.Array, seeds: jax.Array, moduli: tuple[int, ...]) -> jax.Array:
    """The ciphertexts, uint32 [entry, 2, limb, N], whose uniform halves travelled as seeds.

    Args:
        bodies: uint32 [entry, 1, limb, N].
        seeds: uint32 [entry, 8].
        moduli: of the limbs.
    """

    def expanded(body_and_seed: tuple[jax.Array, jax.Array]) -> jax.Array:
        body, seed = body_and_seed
        return jnp.concatenate([body, expand_seed(seed, moduli, (1,), body.shape[-1])])

    together = current_device().blocks.polynomials_drawn
    return jax.lax.map(expanded, (bodies, seeds), batch_size=together)


def decrypt_entries(secret: SecretKey, ciphertext: Ciphertext) -> np.ndarray:
    """The numbers, float64 [entry, slot], in ciphertexts with data [entry, poly, limb, N].

    Raises:
        ValueError: a secret that does not open them, or altered residues.
    """
    count = len(ciphertext.data)
    if not count:
        return np.zeros((0, ciphertext.params.slots))
    parts, size = _equal_parts(count)
    starts = [min(part * size, count - size) for part in range(parts)]
    if isinstance(ciphertext.data, np.ndarray):  # perhaps a map of a file: one part is read at a time
        each = (ciphertext.replace(data=ciphertext.data[start : start + size]) for start in starts)
        found = np.concatenate([real_numbers(secret, part, [0], size) for part in each])
    else:
        found = real_numbers(secret, ciphertext, starts, size)
    # The last part begins earlier, where it would reach beyond the end.
    last = found[-1, parts * size - count :]
    return np.concatenate([*found[:-1], last])
