"""The transform by direct sums of up to 16 terms: few passes over memory, one reduction a value.

A pass turns f = sum of f_j X^(j m) modulo X^(R m) - c into its remainders modulo X^m - c_s, where the c_s
are the R-th roots of c: sum of f_j c_s^j. With c_s = c^(1/R) w^s that is a product with c^(j/R) for each j,
then the fixed matrix w^(s j), s in bit-reversed order. Sixteen products of residues below 2^30 fit an
unsigned 64-bit sum. On a GPU a pass should cost one trip to memory where butterflies take four.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import Array, Moduli, Pair, constants
from fhejax.ring.ring import Ring
from fhejax.ring.transform.tree import (
    add_mirrored,
    factor_exponents,
    inverse_scale,
    matrix_shape,
    root_powers,
    with_quotients,
)
from fhejax.ring.wide import kernel, wide

_LARGEST_RADIX_BITS = 4


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Pass:
    """One pass over [limb, node, R, m, inner].

    matrix, inverse: w^(s j) and w^(-s j), uint32 [limb, R, R]. twiddles, inverse_twiddles: c^(j/R) and
    its inverse with Shoup quotients, uint32 [limb, node, R, 1, inner or 1].
    """

    matrix: Array
    inverse: Array
    twiddles: Pair
    inverse_twiddles: Pair


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """The passes along each axis of [A, B], and what the rings' ends need."""

    rows: tuple[Pass, ...]
    columns: tuple[Pass, ...]
    scale: Pair
    mirror: Pair
    moduli: Moduli


def _radices(bits: int) -> list[int]:
    """The radix bits, nearly equal and at most 4 each, that add up to `bits`."""
    count = -(-bits // _LARGEST_RADIX_BITS)
    return [bits // count + (i < bits % count) for i in range(count)]


def tables(ring: Ring, moduli: tuple[int, ...]) -> Tables:
    """The tables of `moduli`, on the default device."""
    column = np.array(moduli, np.uint64)
    table = root_powers(ring, moduli)
    rows, columns = (size.bit_length() - 1 for size in matrix_shape(ring))
    scale = np.array([inverse_scale(ring, q) for q in moduli], np.uint64)
    phases, depth = [], 0
    for bits in (rows, columns):
        passes = []
        for radix in _radices(bits):
            inner = 1 if not phases else 2**rows
            passes.append(_pass(ring, table, column, depth, radix, inner))
            depth += radix
        phases.append(tuple(passes))
    host = Tables(
        phases[0],
        phases[1],
        with_quotients(scale, column),
        with_quotients(table[:, [ring.degree]], column),
        jax.tree.map(lambda a: a[:, :, None, None, None], constants(moduli)),
    )
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return jax.tree.map(jnp.asarray, host)


def _pass(ring: Ring, table: np.ndarray, column: np.ndarray, depth: int, radix_bits: int, inner: int) -> Pass:
    """The constants of a pass that starts at `depth` of the tree; `inner` nodes lie innermost."""
    order, radix = ring.root_order, 2**radix_bits
    reversed_bits = [int(f"{s:0{radix_bits}b}"[::-1], 2) for s in range(radix)]
    exponents = np.outer(reversed_bits, np.arange(radix)) * (order // radix) % order
    nodes = factor_exponents(ring)[depth] // radix
    twiddles = (nodes[:, None] * np.arange(radix) % order).reshape(inner, -1, radix)
    twiddles = twiddles.transpose(1, 2, 0)[:, :, None]  # [node, j, 1, inner]
    return Pass(
        table[:, exponents].astype(np.uint32),
        table[:, -exponents.T % order].astype(np.uint32),
        with_quotients(table[:, twiddles], column),
        with_quotients(table[:, -twiddles % order], column),
    )


@functools.partial(kernel, static_argnames="ring")
@wide
def forward(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of coefficients to values, as `ntt`."""
    rows, columns = matrix_shape(ring)
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    modulus = tables.moduli.value[:, 0, :, 0, 0]
    if ring.conjugate_invariant:
        x = modular.fold(add_mirrored(x, *tables.mirror, modulus, sign=-1), modulus)
    for step in tables.rows:
        x = _forward_pass(x, step, tables.moduli, rows, columns)
    x = x.reshape(*x.shape[:2], rows, columns).swapaxes(-1, -2)
    for step in tables.columns:
        x = _forward_pass(x, step, tables.moduli, columns, rows)
    return x.reshape(shape)


def _forward_pass(x: jax.Array, step: Pass, moduli: Moduli, size: int, inner: int) -> jax.Array:
    nodes, radix = step.twiddles[0].shape[1:3]
    x = x.reshape(*x.shape[:2], nodes, radix, size // nodes // radix, inner)
    x = modular.multiply_constant(x, *step.twiddles, moduli.value)
    return jax.lax.optimization_barrier(_sums(x, step.matrix, moduli))


def _sums(x: jax.Array, matrix: Array, moduli: Moduli) -> jax.Array:
    """The sum over j of matrix[limb, s, j] x[batch, limb, node, j, m, inner], reduced, for every s."""
    total = jnp.zeros((), jnp.uint64)
    for j in range(matrix.shape[-1]):
        weights = matrix[:, None, :, j, None, None].astype(jnp.uint64)
        total = total + x[:, :, :, j, None].astype(jnp.uint64) * weights
    return modular.reduce_wide(total, moduli)


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    rows, columns = matrix_shape(ring)
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    modulus = tables.moduli.value[:, 0, :, 0, 0]
    for step in reversed(tables.columns):
        x = _inverse_pass(x, step, tables.moduli, columns, rows)
    x = x.reshape(*x.shape[:2], columns, rows).swapaxes(-1, -2)
    for step in reversed(tables.rows):
        x = _inverse_pass(x, step, tables.moduli, rows, columns)
    x = x.reshape(*x.shape[:2], ring.degree)
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, modulus, sign=1)
    return modular.multiply_constant(x, *tables.scale, modulus).reshape(shape)


def _inverse_pass(x: jax.Array, step: Pass, moduli: Moduli, size: int, inner: int) -> jax.Array:
    nodes, radix = step.twiddles[0].shape[1:3]
    x = x.reshape(*x.shape[:2], nodes, radix, size // nodes // radix, inner)
    sums = _sums(x, step.inverse, moduli)
    return jax.lax.optimization_barrier(modular.multiply_constant(sums, *step.inverse_twiddles, moduli.value))
