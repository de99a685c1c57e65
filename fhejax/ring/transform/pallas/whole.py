"""The phases on whole arrays, in plain JAX: what a platform runs that has no kernel, with the same tables."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fhejax.ring.modular import Array
from fhejax.ring.ring import Ring
from fhejax.ring.transform.pallas import phases
from fhejax.ring.transform.pallas.phases import Exchange, Modulus, Tiles
from fhejax.ring.transform.pallas.roots import ColumnRoots, Roots, RowRoots, Tables, radices
from fhejax.ring.transform.tree import matrix_shape

_Phase = Callable[[jax.Array, Any, Modulus, Exchange], Tiles]


def forward(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The values of polynomials [polynomial, limb, N] below 2q, in evaluation order, below q."""
    rows, columns = matrix_shape(ring)

    def both(x: jax.Array, roots: Roots, modulus: Array) -> jax.Array:
        x = _phase(phases.forward_rows, x, (*radices(rows), columns), roots.rows, modulus)
        return _phase(phases.forward_columns, x, (rows, *radices(columns)), roots.columns, modulus)

    return _for_each(both)(x, tables.forward, tables.modulus)


def inverse(x: jax.Array, tables: Tables, ring: Ring) -> jax.Array:
    """The polynomials of values [polynomial, limb, N] below q, scaled as the twist is, below q."""
    rows, columns = matrix_shape(ring)

    def both(x: jax.Array, roots: Roots, modulus: Array) -> jax.Array:
        x = _phase(
            phases.inverse_columns, x, (*radices(columns), rows), roots.columns, modulus, backwards=True
        )
        return _phase(
            phases.inverse_rows, x, (*radices(rows), columns), roots.rows, modulus, 0, backwards=True
        )

    return _for_each(both)(x, tables.inverse, tables.modulus)


def _for_each(function: Callable[[jax.Array, Roots, Array], jax.Array]) -> Callable[..., jax.Array]:
    """The function of one polynomial and limb, for [polynomial, limb, N] and constants of each limb."""
    return jax.vmap(jax.vmap(function), (0, None, None))


def _phase(
    phase: _Phase,
    x: jax.Array,
    shape: tuple[int, int, int],
    roots: RowRoots | ColumnRoots,
    modulus: Array,
    axis: int = 1,
    *,
    backwards: bool = False,
) -> jax.Array:
    def exchange(tiles: Tiles) -> Tiles:
        joined = jnp.stack(tiles, 1 if backwards else 0)  # [R, S, inner]
        return list(joined if backwards else joined.swapaxes(0, 1))

    tiles = phase(x.reshape(shape), roots, Modulus(modulus[0], modulus[1]), exchange)
    return jnp.stack(tiles, axis).reshape(-1)
