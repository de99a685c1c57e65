"""The transform of small rings: all stages of butterflies in one loop, and nothing beside it (Pease 1968).

Small rings have no security and serve tests, where XLA compiles a transform far longer than it runs. In two
phases, by turns of two stages, `butterflies` makes 480 operations of it; one stage in a loop makes 100, and a
relinearisation compiles in half the time. It runs 6 times longer, since results are interleaved one by one.
All stages have one shape: a stage joins the two halves of all coefficients and writes the results side by
side, which leaves the values in the tree's order.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
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
    table = np.stack([powers(root_of_unity(q, order), order, q) for q in moduli])
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
    q, shape = tables.modulus, x.shape
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, q, sign=-1)

    def stage(x: jax.Array, roots: Pair) -> tuple[jax.Array, None]:
        """f_0 + f_1 X^t becomes f_0 + w f_1 and f_0 - w f_1 (Cooley and Tukey). Below 4q, both ways."""
        halves = x.reshape(*shape[:-1], 2, ring.degree // 2)
        low = modular.fold(halves[..., 0, :], q << 1)
        high = modular.multiply_lazily(halves[..., 1, :], *roots, q)
        return jnp.stack([low + high, low + ((q << 1) - high)], -1).reshape(shape), None

    x, _ = jax.lax.scan(stage, x, jax.tree.map(_by_stage, tables.roots))
    x = modular.fold(modular.fold(x, q << 1), q)
    return _transposed(x, matrix_shape(ring))


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    q, shape = tables.modulus, x.shape
    rows, columns = matrix_shape(ring)

    def stage(x: jax.Array, roots: Pair) -> tuple[jax.Array, None]:
        """(u, v) becomes u + v and (u - v) / w (Gentleman and Sande). Below 2q, both ways."""
        pairs = x.reshape(*shape[:-1], ring.degree // 2, 2)
        low, high = pairs[..., 0], pairs[..., 1]
        total = modular.fold(low + high, q << 1)
        difference = modular.multiply_lazily(low + ((q << 1) - high), *roots, q)
        return jnp.stack([total, difference], -2).reshape(shape), None

    x, _ = jax.lax.scan(stage, _transposed(x, (columns, rows)), jax.tree.map(_by_stage, tables.inverse_roots))
    if ring.conjugate_invariant:
        x = add_mirrored(modular.fold(x, q), *tables.mirror, q, sign=1)
    return modular.multiply_constant(x, *tables.scale, q)


def _by_stage(roots: Array) -> jax.Array:
    """The roots [limb, stage, pair] as [stage, limb, pair]."""
    return jnp.swapaxes(roots, 0, 1)


def _transposed(x: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """The entries of matrices of a shape in the order of their columns, as every method leaves the values."""
    return x.reshape(*x.shape[:-1], *shape).swapaxes(-1, -2).reshape(x.shape)
