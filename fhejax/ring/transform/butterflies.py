"""The transform by radix-2 butterflies (Cooley and Tukey; Gentleman and Sande; Harvey 2014).

Two phases with a transposition between them, 2 times faster on a CPU at N = 2^13 than running all stages in
place. Both sides of it are held in memory: fused into a stage, which reads each of its values twice, it took
a fifth of the whole time at N = 2^14. Values stay below 4q between stages.

XLA compiles each stage for itself, and stages are most of what it compiles. So all stages of a phase have one
shape (Pease 1968): a stage joins the two halves of its axis and writes the results side by side. That turns
the nodes of the tree and what is within them around and leaves values in the tree's order. A phase is
then a loop. In the second phase every row has roots of its own; a product with their powers before it, within
the first stage, makes the phase cyclic, with the same roots for all rows.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import Array, Pair
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


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Phases:
    """The constants of one direction, uint32 [limb, ...], each paired with its Shoup quotient.

    rows, columns: the roots of each stage of a phase, [limb, stage, pair of the axis]. twist: the powers
    of each row's root between the phases, [limb, B, A].
    """

    rows: Pair
    columns: Pair
    twist: Pair


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """The constants of both directions, uint32 [limb, ...], each paired with its Shoup quotient.

    scale: 1/N (halved for the mirrored coefficients of the conjugate-invariant ring), [limb,
    N]-broadcastable. mirror: psi^N.
    """

    forward: Phases
    inverse: Phases
    scale: Pair
    mirror: Pair
    modulus: Array


def _row_exponents(ring: Ring) -> np.ndarray:
    """The exponents of the roots of each stage of the first phase, [stage, A/2]."""
    rows, _ = matrix_shape(ring)
    stages = factor_exponents(ring)[: rows.bit_length() - 1]
    return np.stack([np.resize(exponents // 2, rows // 2) for exponents in stages])


def _column_exponents(ring: Ring) -> np.ndarray:
    """The exponents of the roots of the second phase's stages, but for the first, of root 1: [stage, B/2]."""
    _, columns = matrix_shape(ring)
    exponents, stages = np.zeros(1, np.int64), []
    while len(exponents) < columns:
        stages.append(np.resize(exponents // 2, columns // 2))
        halves = np.stack([exponents // 2, exponents // 2 + ring.root_order // 2], 1)
        exponents = halves.reshape(-1)
    return np.stack(stages[1:])


def _twist_exponents(ring: Ring) -> np.ndarray:
    """The exponents e j / B for every j < B and every factor X^B - psi^e, [B, A]."""
    rows, columns = matrix_shape(ring)
    roots = factor_exponents(ring)[rows.bit_length() - 1] // columns
    return np.arange(columns)[:, None] * roots % ring.root_order


def tables(ring: Ring, moduli: tuple[int, ...]) -> Tables:
    """The tables of `moduli`, on the default device."""
    order, column = ring.root_order, np.array(moduli, np.uint64)
    table = root_powers(ring, moduli)
    exponents = _row_exponents(ring), _column_exponents(ring), _twist_exponents(ring)
    reversed_stages = exponents[0][::-1], exponents[1][::-1], exponents[2]
    scale = np.array([inverse_scale(ring, q) for q in moduli], np.uint64)
    host = Tables(
        Phases(*(with_quotients(table[:, e], column) for e in exponents)),
        Phases(*(with_quotients(table[:, -e % order], column) for e in reversed_stages)),
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
    modulus, phases = tables.modulus, tables.forward
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    if ring.conjugate_invariant:
        x = add_mirrored(x, *tables.mirror, modulus, sign=-1)
    x = x.reshape(*x.shape[:2], rows, columns)
    q = modulus[:, :, None]
    x = _in_turns(functools.partial(butterfly, q=q), x, phases.rows)
    x = _twisted_butterfly(_transposed(x), phases.twist, q)
    x = _in_turns(functools.partial(butterfly, q=q), x, phases.columns, last=1)
    return modular.fold(modular.fold(x, q << 1), q).reshape(shape)


def _in_turns(
    stage: Callable[[jax.Array, Pair], jax.Array], x: jax.Array, roots: Pair, last: int = 0
) -> jax.Array:
    """All stages of a phase, two in each turn of a loop, whose memory then serves the one and the other.

    Args:
        stage: of values and the roots of one stage, [limb, pair, 1].
        x: values [batch, limb, axis, inner].
        roots: [limb, stage, pair].
        last: how many stages at the end are outside of the loop, at least: what follows is fused with them.
    """
    count = roots[0].shape[1]
    turns = (count - last) // 2

    def rows(start: jax.Array | int, size: int) -> list[Pair]:
        slices = [jax.lax.dynamic_slice_in_dim(r, start, size, 1)[..., None] for r in roots]
        return [(slices[0][:, i], slices[1][:, i]) for i in range(size)]

    # The next roots are carried: read within a stage, they kept it from running on several cores.
    def turn(number: int, state: tuple[jax.Array, list[Pair]]) -> tuple[jax.Array, list[Pair]]:
        return functools.reduce(stage, state[1], state[0]), rows(2 * number + 2, 2)

    if turns:
        x, _ = jax.lax.fori_loop(0, turns, turn, (x, rows(0, 2)))
    return functools.reduce(stage, rows(2 * turns, count - 2 * turns), x)


def butterfly(x: jax.Array, roots: Pair, q: Array) -> jax.Array:
    """Cooley and Tukey's stage: f_0 + f_1 X^t becomes f_0 + w f_1 and f_0 - w f_1. Below 4q, both ways."""
    halves = x.reshape(*x.shape[:2], 2, x.shape[2] // 2, x.shape[-1])
    low = modular.fold(halves[:, :, 0], q << 1)
    high = modular.multiply_lazily(halves[:, :, 1], *roots, q)
    return jnp.stack([low + high, low + ((q << 1) - high)], 3).reshape(x.shape)


def _twisted_butterfly(x: jax.Array, twist: Pair, q: Array) -> jax.Array:
    """The stage of root 1 after a product with `twist`. Any 32 bits in, below 4q out."""
    halves = modular.multiply_lazily(x, *twist, q).reshape(*x.shape[:2], 2, x.shape[2] // 2, x.shape[-1])
    low, high = halves[:, :, 0], halves[:, :, 1]
    return jnp.stack([low + high, low + ((q << 1) - high)], 3).reshape(x.shape)


def _transposed(x: jax.Array) -> jax.Array:
    """The transpose of the last two axes, copied in blocks and fused with nothing."""
    return materialise(materialise(x).swapaxes(-1, -2))


@functools.partial(kernel, static_argnames="ring")
@wide
def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The transform of values to coefficients, as `inverse_ntt`."""
    rows, columns = matrix_shape(ring)
    modulus, phases = tables.modulus, tables.inverse
    shape, x = x.shape, x.reshape(-1, *x.shape[-2:])
    x = x.reshape(*x.shape[:2], columns, rows)
    q = modulus[:, :, None]
    x = _in_turns(functools.partial(inverse_butterfly, q=q), x, phases.columns)
    x = _transposed(_twisted_inverse_butterfly(x, phases.twist, q))
    x = _in_turns(functools.partial(inverse_butterfly, q=q), x, phases.rows, last=1)
    x = x.reshape(*x.shape[:2], ring.degree)
    if ring.conjugate_invariant:
        x = add_mirrored(modular.fold(x, modulus), *tables.mirror, modulus, sign=1)
    return modular.multiply_constant(x, *tables.scale, modulus).reshape(shape)


def inverse_butterfly(x: jax.Array, roots: Pair, q: Array) -> jax.Array:
    """Gentleman and Sande's stage: (u, v) becomes u + v and (u - v) / w. Below 2q, both ways."""
    low, high = _neighbours(x)
    total = modular.fold(low + high, q << 1)
    difference = modular.multiply_lazily(low + ((q << 1) - high), *roots, q)
    return jnp.stack([total, difference], 2).reshape(x.shape)


def _twisted_inverse_butterfly(x: jax.Array, twist: Pair, q: Array) -> jax.Array:
    """The stage of root 1 before a product with `twist`. Below 2q, both ways."""
    low, high = _neighbours(x)
    pairs = jnp.stack([low + high, low + ((q << 1) - high)], 2)
    return modular.multiply_lazily(pairs.reshape(x.shape), *twist, q)


def _neighbours(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The entries of an axis at even and at odd places: [batch, limb, axis, inner], halved along the axis."""
    pairs = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[-1])
    return pairs[:, :, :, 0], pairs[:, :, :, 1]
