"""A short digest of a long message, for the derivation of streams: universal hashing, quick on every device.

Two stages, both with keys of their own that nobody sees:

1. NH (Black, Halevi, Krawczyk, Krovetz and Rogaway, "UMAC: fast and secure message authentication", 1999):
   rows of 2 H words (a, b) become sum_i (a_i + k_i mod 2^32) (b_i + k'_i mod 2^32) mod 2^64. Two different
   rows meet with probability 2^-32; in four lanes with keys shifted by one pair each (Toeplitz), 2^-128.
2. The numbers so made, in pieces of 22 bits, as the coefficients of a polynomial modulo 2^31 - 1, evaluated
   at eight points (Carter and Wegman, "Universal classes of hash functions", 1979): of C pieces, different
   ones meet with probability at most (C / 2^31)^8, below 2^-96 up to C = 2^19.

Different messages of equal shape so have equal digests with a probability below 2^-95 for each pair, whatever
they are, since they were chosen without knowledge of the keys. A digest says something of its message: it is
absorbed by a pseudorandom function, never shown.
"""

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.wide import kernel, wide

WORDS = 8  # of a digest
_LANES = 4
_PAIRS = 512  # in a row, at most: as many keys are drawn for every message
_PIECE_BITS = 22
_PRIME_BITS = 31
_PRIME = (1 << _PRIME_BITS) - 1


def message_digest(key: jax.Array, message: jax.Array) -> jax.Array:
    """The digest of uint32 words [..., N], N even, as uint32 [8].

    Args:
        key: a typed JAX key of shape (), which this uses up.
        message: of any shape, which is no part of the digest.
    """
    pairs = min(_PAIRS, message.shape[-1] // 2)
    words = jax.random.bits(key, (2 * (pairs + _LANES - 1) + WORDS,), np.uint32)
    return _digest(words[:-WORDS].reshape(2, -1), words[-WORDS:], message.reshape(-1, 2, pairs))


@kernel
@wide
def _digest(row_keys: jax.Array, points: jax.Array, rows: jax.Array) -> jax.Array:
    lanes = jnp.stack([_sum_of_products(row_keys, rows, lane) for lane in range(_LANES)])
    mask = np.uint64((1 << _PIECE_BITS) - 1)
    shifts = range(0, 64, _PIECE_BITS)
    pieces = jnp.concatenate([(lanes >> np.uint64(shift)) & mask for shift in shifts]).reshape(-1)
    return _polynomial(pieces, points.astype(jnp.uint64) & np.uint64(_PRIME)).astype(jnp.uint32)


def _sum_of_products(row_keys: jax.Array, rows: jax.Array, lane: int) -> jax.Array:
    """The sums of NH of uint32 [row, 2, pair] with the lane's keys: uint64 [row]."""
    first, second = (
        (rows[:, i] + row_keys[i, lane : lane + rows.shape[-1]]).astype(jnp.uint64) for i in (0, 1)
    )
    return (first * second).sum(-1)


def _polynomial(pieces: jax.Array, points: jax.Array) -> jax.Array:
    """The value of sum_i pieces_i x^i modulo 2^31 - 1 at each point x: uint64 [point]."""
    powers = _powers(points, pieces.size)
    return _reduced(_folded(powers * pieces).sum(-1))


def _powers(points: jax.Array, count: int) -> jax.Array:
    """The powers x^0 .. x^(count - 1), doubled until there are enough: uint64 [point] to [point, count]."""
    powers, step = jnp.ones((points.size, 1), jnp.uint64), points[:, None]
    while powers.shape[1] < count:
        powers = jnp.concatenate([powers, _reduced(powers * step)], 1)
        step = _reduced(step * step)
    return powers[:, :count]


def _folded(x: jax.Array) -> jax.Array:
    """The number x modulo 2^31 - 1, but for a multiple: below 2^34."""
    return (x & np.uint64(_PRIME)) + (x >> np.uint64(_PRIME_BITS))


def _reduced(x: jax.Array) -> jax.Array:
    """The residue of x modulo 2^31 - 1, but for a multiple: below 2^31 + 1."""
    return _folded(_folded(_folded(x)))
