"""The four phases of the transform, of one polynomial and one limb, on lists of tiles.

A radix step holds its branches as a list of arrays, so that its butterflies are products, sums and
differences of whole arrays and nothing moves within one: what every backend of Pallas can lower. Between the
two steps of a phase the list changes from branches of the one to branches of the other; how is up to the
caller (`exchange`): through memory within a kernel, by slices of an array elsewhere. All that is read is
indexed alike in arrays and in Pallas' references. Bounds are those of butterflies: 4q forward, 2q inverse.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.transform.pallas.roots import ColumnRoots, RowRoots

Tiles = list[jax.Array]
Exchange = Callable[[Tiles], Tiles]
_Heap = Callable[
    [int], tuple[Any, Any]
]  # the root of an entry, which broadcasts against tiles, and its quotient


def upper_half(x: jax.Array, y: jax.Array) -> jax.Array:
    """The upper 32 bits of products of uint32 numbers: one instruction, on a processor that has it."""
    product = jnp.asarray(x).astype(jnp.uint64) * jnp.asarray(y).astype(jnp.uint64)
    return (product >> np.uint64(32)).astype(jnp.uint32)


class Modulus(NamedTuple):
    """A prime, twice the prime, and how the upper half of a product of 32-bit numbers is computed."""

    value: Any
    twice: Any
    upper_half: Callable[[jax.Array, jax.Array], jax.Array] = upper_half

    def multiply(self, x: jax.Array, root: Any, quotient: Any) -> jax.Array:
        """The product x * root mod q in [0, 2q), for any 32-bit x (Shoup; Harvey 2014, algorithm 2)."""
        return x * root - self.upper_half(x, quotient) * self.value


def forward_rows(x: Any, roots: RowRoots, modulus: Modulus, exchange: Exchange) -> Tiles:
    """The first phase: [R, S, column] below 2q to S tiles [R, column] below 4q."""
    tiles = [x[j] for j in range(x.shape[0])]
    tiles = _split(tiles, _shared(roots.first), modulus, below_twice=True)
    return _split(exchange(tiles), _along_first(roots.second), modulus)


def forward_columns(x: Any, roots: ColumnRoots, modulus: Modulus, exchange: Exchange) -> Tiles:
    """The second phase: [row, R, S] below 4q to S tiles [R, row] below q."""
    tiles = [x[:, j] for j in range(x.shape[1])]
    tiles = _split(tiles, _along_first(roots.first), modulus)
    root, quotient = (part[...] for part in roots.twist)
    tiles = [modulus.multiply(tile, root, quotient).T for tile in tiles]
    tiles = _split(exchange(tiles), _along_first(roots.second), modulus, below_twice=True)
    return [modular.fold(modular.fold(tile, modulus.twice), modulus.value) for tile in tiles]


def inverse_columns(x: Any, roots: ColumnRoots, modulus: Modulus, exchange: Exchange) -> Tiles:
    """The inverse of the second phase: [R, S, row] below q to R tiles [row, S] below 2q, scaled."""
    tiles = [x[:, t] for t in range(x.shape[1])]
    tiles = exchange(_join(tiles, _along_first(roots.second), modulus))
    root, quotient = (part[...] for part in roots.twist)
    tiles = [modulus.multiply(tile, root, quotient) for tile in tiles]
    return [tile.T for tile in _join(tiles, _along_last(roots.first), modulus)]


def inverse_rows(x: Any, roots: RowRoots, modulus: Modulus, exchange: Exchange) -> Tiles:
    """The inverse of the first phase: [R, S, column] below 2q to R tiles [S, column] below q."""
    tiles = [x[:, t] for t in range(x.shape[1])]
    tiles = exchange(_join(tiles, _along_first(roots.second), modulus))
    tiles = _join(tiles, _shared(roots.first), modulus)
    return [modular.fold(tile, modulus.value) for tile in tiles]


def _split(tiles: Tiles, heap: _Heap, modulus: Modulus, *, below_twice: bool = False) -> Tiles:
    """A radix step of Cooley and Tukey's butterflies: f_0 + w f_1 and f_0 - w f_1, node after node."""
    nodes = 1
    while nodes < len(tiles):
        half, results = len(tiles) // nodes // 2, []
        for node in range(nodes):
            root = heap(nodes + node)
            start = 2 * half * node
            pairs = zip(tiles[start : start + half], tiles[start + half : start + 2 * half], strict=True)
            both = [_butterfly(low, high, root, modulus, fold=not below_twice) for low, high in pairs]
            results += [plus for plus, _ in both] + [minus for _, minus in both]
        tiles, nodes, below_twice = results, 2 * nodes, False
    return tiles


def _butterfly(
    low: jax.Array, high: jax.Array, root: tuple[Any, Any], modulus: Modulus, *, fold: bool
) -> tuple[jax.Array, jax.Array]:
    """The sum low + w high and the difference, below 4q; without folding, of a low number below 2q."""
    low = modular.fold(low, modulus.twice) if fold else low
    high = modulus.multiply(high, *root)
    return low + high, low - high + modulus.twice


def _join(tiles: Tiles, heap: _Heap, modulus: Modulus) -> Tiles:
    """A radix step of Gentleman and Sande's butterflies: u + v and (u - v) / w. Below 2q, both ways."""
    nodes = len(tiles) // 2
    while nodes:
        half, results = len(tiles) // nodes // 2, []
        for node in range(nodes):
            root = heap(nodes + node)
            start = 2 * half * node
            pairs = zip(tiles[start : start + half], tiles[start + half : start + 2 * half], strict=True)
            both = [_inverse_butterfly(low, high, root, modulus) for low, high in pairs]
            results += [total for total, _ in both] + [difference for _, difference in both]
        tiles, nodes = results, nodes // 2
    return tiles


def _inverse_butterfly(
    low: jax.Array, high: jax.Array, root: tuple[Any, Any], modulus: Modulus
) -> tuple[jax.Array, jax.Array]:
    total = modular.fold(low + high, modulus.twice)
    return total, modulus.multiply(low - high + modulus.twice, *root)


def _shared(heap: tuple[Any, Any]) -> _Heap:
    """The roots of one node: numbers."""
    return lambda entry: (heap[0][entry], heap[1][entry])


def _along_first(heap: tuple[Any, Any]) -> _Heap:
    """The roots of nodes that lie along the first axis of each tile."""
    return lambda entry: (heap[0][entry][:, None], heap[1][entry][:, None])


def _along_last(heap: tuple[Any, Any]) -> _Heap:
    """The roots of nodes that lie along the last axis of each tile."""
    return lambda entry: (heap[0][entry][None, :], heap[1][entry][None, :])
