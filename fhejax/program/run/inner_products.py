"""Sums of products of ciphertexts, before anything is relinearised."""

import jax
import jax.numpy as jnp

from fhejax.ckks import Ciphertext
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide

_SUMMED_TOGETHER = 8  # products of an inner product: 16 products of residues fit an unsigned 64-bit sum


@kernel
@wide
def inner_products(x: Ciphertext, y: Ciphertext, pairs: jax.Array) -> jax.Array:
    """The sum over k of x[pairs[0, o, k]] y[pairs[1, o, k]] for every o, with three components.

    Args:
        x: ciphertexts, data [entry, 2, limb, N], in the evaluation domain.
        y: the same.
        pairs: int32 [2, o, k], which entries meet; -1 is zero.

    Returns:
        uint32 [o, 3, limb, N].
    """
    limbs = constants(x.moduli)
    missing = -pairs.shape[2] % _SUMMED_TOGETHER if pairs.shape[2] > _SUMMED_TOGETHER else 0
    pairs = jnp.pad(pairs, [(0, 0), (0, 0), (0, missing)], constant_values=-1)
    width = min(pairs.shape[2], _SUMMED_TOGETHER)
    chunks = jnp.moveaxis(pairs.reshape(2, pairs.shape[1], -1, width), 0, 2)

    def add_chunk(total: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
        return modular.add(total, _sum_of_tensors(x.data, y.data, chunk, limbs), limbs.value), None

    def one(rows: jax.Array) -> jax.Array:
        first = _sum_of_tensors(x.data, y.data, rows[0], limbs)
        return jax.lax.scan(add_chunk, first, rows[1:])[0] if len(rows) > 1 else first

    return jax.lax.map(one, chunks)


def _sum_of_tensors(x: jax.Array, y: jax.Array, chunk: jax.Array, limbs: modular.Moduli) -> jax.Array:
    """The sum over k of x[chunk[0, k]] y[chunk[1, k]], for at most 8 k: [3, limb, N]."""
    alive = (chunk >= 0).all(0)[:, None, None, None]
    first = jnp.where(alive, jnp.take(x, jnp.maximum(chunk[0], 0), axis=0), jnp.uint32(0))
    first, second = first.astype(jnp.uint64), jnp.take(y, jnp.maximum(chunk[1], 0), axis=0).astype(jnp.uint64)
    x0, x1, y0, y1 = first[:, 0], first[:, 1], second[:, 0], second[:, 1]
    parts = jnp.stack([(x0 * y0).sum(0), (x0 * y1 + x1 * y0).sum(0), (x1 * y1).sum(0)])
    return modular.reduce_wide(parts, limbs)
