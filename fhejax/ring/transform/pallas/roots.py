"""The constants of the transform in two phases of two steps each: small, since they are factored.

Coefficients are the matrix [A, B] of all methods. The first phase transforms along A, the second along B,
each of them by a step of up to 16 branches and one of the rest. A radix step below a factor X^n - psi^e needs
the roots of its own few nodes of the tree. In the second phase each of the A rows would have B such roots; a
product with powers of the row's root between its two steps (the twist) turns the second step into a cyclic
one, with the same roots for every row. So a limb takes about 16 A + N / 16 pairs in place of N: 70 kB in
place of 512 at N = 2^16.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.modular import Array, Pair
from fhejax.ring.ring import Ring
from fhejax.ring.transform.tree import matrix_shape, root_powers, with_quotients

RADIX = 16  # branches of a phase's first step, at most


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RowRoots:
    """The constants of a phase along A = R * S, R at most 16, each paired with its Shoup quotient.

    A heap numbers the roots of a radix step as a binary tree: entry 2**s + i is that of node i in stage s.
    first: the heap of the first step, [limb, R]. second: a heap for each node that it leaves, [limb, S, R].
    """

    first: Pair
    second: Pair


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ColumnRoots:
    """The constants of a phase along B = R * S, R at most 16, each paired with its Shoup quotient.

    first: a heap for each row, [limb, R, A]. twist: powers of each row's root, [limb, A, S] forward and
    [limb, S, A] inverse, where it holds the ring's scale as well. second: as that of rows, [limb, S, R].
    """

    first: Pair
    twist: Pair
    second: Pair


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Roots:
    """The constants of one direction."""

    rows: RowRoots
    columns: ColumnRoots


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tables:
    """The constants of both directions, uint32 [limb, ...].

    modulus: q and 2 q, [limb, 2]. mirror: psi^N, paired, [limb, 1].
    """

    forward: Roots
    inverse: Roots
    modulus: Array
    mirror: Pair


def radices(size: int) -> tuple[int, int]:
    """The branches of both steps of a phase along an axis of `size`: up to 16, and the rest."""
    first = min(RADIX, size)
    return first, size // first


def _children(exponents: np.ndarray, order: int) -> np.ndarray:
    """The exponents of the factors that those of `exponents`, [..., node], split into: [..., 2 node]."""
    halves = np.stack([exponents // 2, exponents // 2 + order // 2], -1)
    return halves.reshape(*exponents.shape[:-1], -1)


def _descendants(exponents: np.ndarray, branches: int, order: int) -> np.ndarray:
    for _ in range(branches.bit_length() - 1):
        exponents = _children(exponents, order)
    return exponents


def _heaps(exponents: np.ndarray, branches: int, order: int) -> np.ndarray:
    """The heap of a step of `branches` below each of the factors: exponents [factor, branches]."""
    heaps = np.zeros((len(exponents), branches), np.int64)
    nodes = exponents[:, None]
    for stage in range(branches.bit_length() - 1):
        heaps[:, 2**stage : 2 ** (stage + 1)] = nodes // 2
        nodes = _children(nodes, order)
    return heaps


def _roots(ring: Ring, pair: Callable[[np.ndarray], Pair], twist: Callable[[np.ndarray], Pair]) -> Roots:
    """The constants of a direction: `pair`, and for the twist `twist`, of the exponents of psi forward."""
    rows, columns = matrix_shape(ring)
    (first, second), (third, fourth) = radices(rows), radices(columns)
    order, top, cyclic = ring.root_order, np.array([ring.degree]), np.zeros(1, np.int64)
    below_first = _descendants(top, first, order)
    factors = _descendants(top, rows, order)
    below_third = _descendants(cyclic, third, order)
    return Roots(
        RowRoots(pair(_heaps(top, first, order)[0]), pair(_heaps(below_first, second, order).T)),
        ColumnRoots(
            pair(_heaps(factors, third, order).T),
            twist(factors[:, None] // columns * np.arange(fourth)),
            pair(_heaps(below_third, fourth, order).T),
        ),
    )


def tables(ring: Ring, moduli: tuple[int, ...]) -> Tables:
    """The tables of `moduli`, on the default device."""
    order, column = ring.root_order, np.array(moduli, np.uint64)
    table = root_powers(ring, moduli)
    scale = np.array([pow(order // 2, -1, q) for q in moduli], np.uint64)[:, None, None]

    def pair(exponents: np.ndarray) -> Pair:
        return with_quotients(table[:, exponents % order], column)

    def scaled(exponents: np.ndarray) -> Pair:
        return with_quotients(table[:, -exponents.T % order] * scale % column[:, None, None], column)

    host = Tables(
        _roots(ring, pair, pair),
        _roots(ring, lambda exponents: pair(-exponents), scaled),
        np.stack([column, 2 * column], 1).astype(np.uint32),
        with_quotients(table[:, [ring.degree]], column),
    )
    with jax.ensure_compile_time_eval():
        return jax.tree.map(jnp.asarray, host)
