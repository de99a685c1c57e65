"""The phases as Pallas kernels, whose programs each read, transform and write a tile of rows or columns once.

Between the two steps of a phase branches lie in other threads. They are exchanged through the program's own
block of the output, which its multiprocessor has in its cache, with a barrier before anything is read there
and one before anything is overwritten. A forward transform so made took 27 us on an H200 for 48 limbs of
N = 2^16, where XLA's methods took 173 and copying the data twice 12.

Only what runs these kernels imports this module, for it imports Pallas.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

from fhejax.ring.modular import Array
from fhejax.ring.platform import accelerator
from fhejax.ring.ring import Ring
from fhejax.ring.transform.pallas import phases
from fhejax.ring.transform.pallas.backends import Backend
from fhejax.ring.transform.pallas.phases import Exchange, Modulus, Tiles
from fhejax.ring.transform.pallas.roots import ColumnRoots, RowRoots, Tables, radices
from fhejax.ring.transform.tree import matrix_shape

_WARP = 32  # threads


@dataclasses.dataclass(frozen=True)
class _Phase:
    """What one kernel does.

    body: of references to modulus, roots, source and result. source, result: the axes that programs share
    out, of [polynomial, limb, ...]; None for a result that is one axis, of as many values a tile. roots: the
    same of each constant, [limb, ...], or None where each program reads all.
    """

    body: Callable[..., None]
    source: int
    result: int | None
    roots: tuple[int | None, ...]


def forward(x: jax.Array, tables: Tables, ring: Ring, backend: Backend) -> jax.Array:
    """The values of polynomials [polynomial, limb, N] below 2q, in evaluation order, below q."""
    rows, columns = matrix_shape(ring)
    lead, along_rows, along_columns = x.shape[:2], radices(rows), radices(columns)
    launch = functools.partial(_launch, modulus=tables.modulus, backend=backend)
    shape = (*lead, *along_rows, columns)
    x = launch(_FORWARD_ROWS, x.reshape(shape), tables.forward.rows, shape)
    shape = (*lead, *along_columns, rows)
    x = launch(_FORWARD_COLUMNS, x.reshape(*lead, rows, *along_columns), tables.forward.columns, shape)
    return x.reshape(*lead, ring.degree)


def inverse(x: jax.Array, tables: Tables, ring: Ring, backend: Backend) -> jax.Array:
    """The polynomials of values [polynomial, limb, N] below q, scaled as the twist is, below q."""
    rows, columns = matrix_shape(ring)
    lead, along_rows, along_columns = x.shape[:2], radices(rows), radices(columns)
    launch = functools.partial(_launch, modulus=tables.modulus, backend=backend)
    x = x.reshape(*lead, *along_columns, rows)
    x = launch(_INVERSE_COLUMNS, x, tables.inverse.columns, (*lead, ring.degree))
    shape = (*lead, *along_rows, columns)
    return launch(_INVERSE_ROWS, x.reshape(shape), tables.inverse.rows, shape).reshape(*lead, ring.degree)


def _launch(
    phase: _Phase,
    x: jax.Array,
    roots: RowRoots | ColumnRoots,
    shape: tuple[int, ...],
    *,
    modulus: Array,
    backend: Backend,
) -> jax.Array:
    """The result of a phase, uint32 of `shape`, one program for each polynomial, limb and tile."""
    polynomials, limbs = x.shape[:2]
    sizes = accelerator().blocks
    tile = min(sizes.transform_tile, x.shape[phase.source])
    count = x.shape[phase.source] // tile
    values = math.prod(x.shape[2:]) // count  # of a program
    result, part = (2, values) if phase.result is None else (phase.result, tile)
    parts = [getattr(roots, field.name) for field in dataclasses.fields(roots)]
    constants = [
        jax.tree.map(lambda a, axis=axis: _constant(a.shape, axis, tile), pair)
        for pair, axis in zip(parts, phase.roots, strict=True)
    ]
    return pl.pallas_call(
        functools.partial(phase.body, backend=backend),
        grid=(count, limbs, polynomials),
        in_specs=[_constant(modulus.shape, None, tile), constants, _data(x.shape, phase.source, tile)],
        out_specs=_data(shape, result, part),
        out_shape=jax.ShapeDtypeStruct(shape, jnp.uint32),
        **backend.options(max(1, values // sizes.transform_lane // _WARP)),
    )(modulus, parts, x)


def _data(shape: tuple[int, ...], axis: int, size: int) -> pl.BlockSpec:
    """The block of a program in an array [polynomial, limb, ...]."""
    block, place = _block(shape[2:], axis - 2, size)
    return pl.BlockSpec((None, None, *block), lambda i, limb, polynomial: (polynomial, limb, *place(i)))


def _constant(shape: tuple[int, ...], axis: int | None, size: int) -> pl.BlockSpec:
    """The block of a program in an array [limb, ...] that serves all polynomials."""
    block, place = _block(shape[1:], None if axis is None else axis - 1, size)
    return pl.BlockSpec((None, *block), lambda i, limb, polynomial: (limb, *place(i)))


def _block(
    shape: tuple[int, ...], axis: int | None, size: int
) -> tuple[list[int], Callable[[Any], list[Any]]]:
    """The block that has `size` entries along one axis and all along the others, and where it is."""
    block = [size if k == axis else entries for k, entries in enumerate(shape)]
    return block, lambda i: [i if k == axis else 0 for k in range(len(shape))]


def _modulus(modulus: Any, backend: Backend) -> Modulus:
    return Modulus(modulus[0], modulus[1], backend.upper_half)


def _forward_rows(modulus: Any, roots: Any, x: Any, result: Any, *, backend: Backend) -> None:
    exchange = _exchange_forward(result, backend)
    tiles = phases.forward_rows(x, RowRoots(*roots), _modulus(modulus, backend), exchange)
    for t, tile in enumerate(tiles):
        result[:, t] = tile


def _forward_columns(modulus: Any, roots: Any, x: Any, result: Any, *, backend: Backend) -> None:
    exchange = _exchange_forward(result, backend)
    tiles = phases.forward_columns(x, ColumnRoots(*roots), _modulus(modulus, backend), exchange)
    for t, tile in enumerate(tiles):
        result[:, t] = tile


def _inverse_rows(modulus: Any, roots: Any, x: Any, result: Any, *, backend: Backend) -> None:
    exchange = _exchange_inverse(result, backend)
    tiles = phases.inverse_rows(x, RowRoots(*roots), _modulus(modulus, backend), exchange)
    for j, tile in enumerate(tiles):
        result[j] = tile


def _inverse_columns(modulus: Any, roots: Any, x: Any, result: Any, *, backend: Backend) -> None:
    """The phase that writes [row, R, S], and for the exchange [R, S, row] in the same places of one axis."""
    radix, rest, rows = x.shape

    def exchange(tiles: Tiles) -> Tiles:
        for t, tile in enumerate(tiles):
            result[_places(t * rows, tile.shape, rest * rows)] = tile
        backend.barrier()
        found = [result[_places(j * rest * rows, (rest, rows), rows)] for j in range(radix)]
        backend.barrier()
        return found

    tiles = phases.inverse_columns(x, ColumnRoots(*roots), _modulus(modulus, backend), exchange)
    for j, tile in enumerate(tiles):
        result[_places(j * rest, tile.shape, radix * rest)] = tile


def _places(start: int, shape: tuple[int, ...], stride: int) -> jax.Array:
    """The places of a tile along one axis, int32: its rows are `stride` apart, and each lies together."""
    row, column = (jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in (0, 1))
    return np.int32(start) + row * np.int32(stride) + column


def _exchange_forward(result: Any, backend: Backend) -> Exchange:
    """R tiles [S, inner] to S tiles [R, inner] through the result, [R, S, inner]."""

    def exchange(tiles: Tiles) -> Tiles:
        for j, tile in enumerate(tiles):
            result[j] = tile
        backend.barrier()
        found = [result[:, t] for t in range(result.shape[1])]
        backend.barrier()
        return found

    return exchange


def _exchange_inverse(result: Any, backend: Backend) -> Exchange:
    """S tiles [R, inner] to R tiles [S, inner] through the result, [R, S, inner]."""

    def exchange(tiles: Tiles) -> Tiles:
        for t, tile in enumerate(tiles):
            result[:, t] = tile
        backend.barrier()
        found = [result[j] for j in range(result.shape[0])]
        backend.barrier()
        return found

    return exchange


_FORWARD_ROWS = _Phase(_forward_rows, 4, 4, (None, None))
_FORWARD_COLUMNS = _Phase(_forward_columns, 2, 4, (2, 1, None))
_INVERSE_COLUMNS = _Phase(_inverse_columns, 4, None, (2, 2, None))
_INVERSE_ROWS = _Phase(_inverse_rows, 4, 4, (None, None))
