"""The transform by radix-2 butterflies (Cooley and Tukey; Gentleman and Sande; Harvey 2014).

Two phases with a transposition between them, 2 times faster on a CPU at N = 2^13 than running all stages in
place. Both sides of it are held in memory: fused into a stage, which reads each of its values twice, it took
a fifth of the whole time at N = 2^14. Values stay below 4q between stages.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import Array, Pair
from fhejax.ring.primes import root_of_unity
from fhejax.ring.ring import Ring
from fhejax.ring.transform.tree import (
    add_mirrored,
    factor_exponents,
    inverse_scale,
    matrix_shape,
    powers,
    with_quotients,
)
from fhejax.ring.wide import kernel, wide


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """Twiddles of every stage, uint32 [limb, ...], each paired with its Shoup quotient.

    forward, inverse: one (root, quotient) pair per stage. scale: 1/N (halved for the mirrored
    coefficients of the conjugate-invariant ring), [limb, N]-broadcastable. mirror: psi^N.
    """

    forward: tuple[Pair, ...]
    inverse: tuple[Pair, ...]
    scale: Pair
    mirror: Pair
    modulus: Array


def _stage_exponents(ring: Ring) -> list[np.ndarray]:
    """Twiddle exponents of each stage, shaped [node, 1] in phase one and [node, A] in phase two."""
    rows, _ = matrix_shape(ring)
    stages = []
    for exponents in factor_exponents(ring)[:-1]:
        half = exponents // 2
        stages.append(half[:, None] if len(half) < rows else half.reshape(rows, -1).T)
    return stages


def tables(ring: Ring, moduli: tuple[int, ...]) -> Tables:
    """The tables of `moduli`, on the default device."""
    order, column = ring.root_order, np.array(moduli, np.uint64)
    table = np.stack([powers(root_of_unity(q, order), order, q) for q in moduli])
    stages = _stage_exponents(ring)
    scale = np.array([inverse_scale(ring, q) for q in moduli], np.uint64)
    host = Tables(
        tuple(with_quotients(table[:, e], column) for e in stages),
        tuple(with_quotients(table[:, -e % order], column) for e in reversed(stages)),
        with_quotients(scale, column),
        with_quotients(table[:, [ring.degree]], column),
        column.astype(np.uint32)[:, None],
    )
    with jax.ensure_compile_time_eval():
        return jax.tree.map(jnp.asarray, host)


@functools.partial(kernel, static_argnames="ring")
@wide
def forward(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of coefficients to values, as `ntt`."""
    rows, columns = matrix_shape(ring)
    modulus = tables.modulus
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, modulus, sign=-1)
    split = rows.bit_length() - 1
    x = _butterflies(x, tables.forward[:split], modulus, rows, columns)
    x = _transposed(x, rows, columns)
    x = _butterflies(x, tables.forward[split:], modulus, columns, rows)
    return modular.fold(modular.fold(x, modulus << 1), modulus).reshape(shape)


def _butterflies(x: jax.Array, stages: tuple[Pair, ...], q: Array, n: int, inner: int) -> jax.Array:
    """Cooley and Tukey's stages: f_0 + f_1 X^t becomes f_0 + w f_1 and f_0 - w f_1. Below 4q throughout."""
    batch, limbs = x.shape[:2]
    q = q[:, :, None, None]
    for root, quotient in stages:
        nodes = root.shape[1]
        x = x.reshape(batch, limbs, nodes, 2, n // nodes // 2, inner)
        low = modular.fold(x[:, :, :, 0], q << 1)
        high = modular.multiply_lazily(x[:, :, :, 1], root[:, :, None], quotient[:, :, None], q)
        x = jnp.stack([low + high, low + ((q << 1) - high)], 3)
    return x.reshape(batch, limbs, n * inner)


def _transposed(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """The transpose [batch, limb, columns, rows], copied in blocks and fused with nothing."""
    return materialise(materialise(x.reshape(*x.shape[:2], rows, columns)).swapaxes(-1, -2))


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    rows, columns = matrix_shape(ring)
    modulus = tables.modulus
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    split = columns.bit_length() - 1
    x = _inverse_butterflies(x, tables.inverse[:split], modulus, columns, rows)
    x = _transposed(x, columns, rows)
    x = _inverse_butterflies(x, tables.inverse[split:], modulus, rows, columns)
    if ring.conjugate_invariant:
        x = add_mirrored(modular.fold(x, modulus), *tables.mirror, modulus, sign=1)
    return modular.multiply_constant(x, *tables.scale, modulus).reshape(shape)


def _inverse_butterflies(x: jax.Array, stages: tuple[Pair, ...], q: Array, n: int, inner: int) -> jax.Array:
    """Gentleman and Sande's stages: (u, v) becomes u + v and (u - v) / w. Below 2q throughout."""
    batch, limbs = x.shape[:2]
    q = q[:, :, None, None]
    for root, quotient in stages:
        nodes = root.shape[1]
        x = x.reshape(batch, limbs, nodes, 2, n // nodes // 2, inner)
        low, high = x[:, :, :, 0], x[:, :, :, 1]
        total = modular.fold(low + high, q << 1)
        difference = modular.multiply_lazily(
            low + ((q << 1) - high), root[:, :, None], quotient[:, :, None], q
        )
        x = jnp.stack([total, difference], 3)
    return x.reshape(batch, limbs, n * inner)
