"""The transform of small rings: all stages of butterflies in one loop, and nothing beside it (Pease 1968).

Small rings have no security and serve tests, where XLA compiles a transform far longer than it runs. In two
phases, by turns of two stages, `butterflies` makes 480 operations of it; one stage in a loop makes 100, and a
relinearisation compiles in half the time. It runs 6 times longer, since results are interleaved one by one.
All stages have one shape: a stage joins the two halves of all coefficients and writes the results side by
side, which leaves the values in the tree's order.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import Array, Pair
from fhejax.ring.ring import Ring
from fhejax.ring.transform.butterflies import butterfly, inverse_butterfly
from fhejax.ring.transform.tree import (
    add_mirrored,
    factor_exponents,
    inverse_scale,
    matrix_shape,
    root_powers,
    with_quotients,
)
from fhejax.ring.wide import kernel, wide

LARGEST_DEGREE = 1024  # beyond, rings can have 128 bits of security and a prime to spare: their speed counts


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """The constants of both directions, uint32 [limb, ...], each paired with its Shoup quotient.

    roots, inverse_roots: of each stage in its turn, [limb, stage, N/2]. scale: 1/N (halved for the mirrored
    coefficients of the conjugate-invariant ring), [limb, N]-broadcastable. mirror: psi^N.
    """

    roots: Pair
    inverse_roots: Pair
    scale: Pair
    mirror: Pair
    modulus: Array


def tables(ring: Ring, moduli: tuple[int, ...]) -> Tables:
    """The tables of `moduli`, on the default device."""
    order, column = ring.root_order, np.array(moduli, np.uint64)
    table = root_powers(ring, moduli)
    # A stage's roots are those of the tree's nodes, again and again for what is within the nodes.
    stages = [np.resize(exponents // 2, ring.degree // 2) for exponents in factor_exponents(ring)[:-1]]
    exponents = np.stack(stages)
    scale = np.array([inverse_scale(ring, q) for q in moduli], np.uint64)
    host = Tables(
        with_quotients(table[:, exponents], column),
        with_quotients(table[:, -exponents[::-1] % order], column),
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
    q = tables.modulus
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, q, sign=-1)
    x = _in_stages(butterfly, x, tables.roots, q)
    x = modular.fold(modular.fold(x, q << 1), q)
    return _transposed(x, matrix_shape(ring))


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    q, (rows, columns) = tables.modulus, matrix_shape(ring)
    x = _in_stages(inverse_butterfly, _transposed(x, (columns, rows)), tables.inverse_roots, q)
    if ring.conjugate_invariant:
        x = add_mirrored(modular.fold(x, q), *tables.mirror, q, sign=1)
    return modular.multiply_constant(x, *tables.scale, q)


def _in_stages(stage: Callable[..., jax.Array], x: jax.Array, roots: Pair, q: Array) -> jax.Array:
    """All stages of a transform, one in each turn of a loop, on all coefficients at once."""

    def turn(x: jax.Array, roots: Pair) -> tuple[jax.Array, None]:
        return stage(x, (roots[0][..., None], roots[1][..., None]), q[:, :, None]), None

    whole = x.reshape(-1, *x.shape[-2:], 1)
    return jax.lax.scan(turn, whole, jax.tree.map(_by_stage, roots))[0].reshape(x.shape)


def _by_stage(roots: Array) -> jax.Array:
    """The roots [limb, stage, pair] as [stage, limb, pair]."""
    return jnp.swapaxes(roots, 0, 1)


def _transposed(x: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The entries of matrices of a shape in the order of their columns, as every method leaves the values."""
    return x.reshape(*x.shape[:-1], *shape).swapaxes(-1, -2).reshape(x.shape)
