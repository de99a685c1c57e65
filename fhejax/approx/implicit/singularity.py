"""Singularities of traced functions: `boundedness` in fixed shapes, under transformations."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fhejax.approx.boundedness import LARGEST_VALUE, NO_RISE, PARTS, ROUNDS, WINDOW
from fhejax.approx.implicit.linear_exchange import argmax, indices, repeat

SAMPLES = 1025

Value = Callable[[jax.Array], jax.Array]


def is_tame(value: Value, ends: jax.Array) -> jax.Array:
    """Whether the function is finite, at most 1e30 and not growing without bound on each piece.

    It is magnified where it changes most between 1,025 points of each piece.

    Args:
        value: an elementwise function of float64.
        ends: the pieces, (pieces, 2) float64.
    """
    return jnp.all(jax.vmap(lambda piece: _is_tame_on(value, piece[0], piece[1]))(ends))


def _is_tame_on(value: Value, start: jax.Array, stop: jax.Array) -> jax.Array:
    points = start + (stop - start) * jnp.linspace(0.0, 1.0, SAMPLES)
    found = value(points)
    size = jnp.max(found) - jnp.min(found)

    def magnify(round_: jax.Array, state: Any) -> Any:
        left, right, lowest, highest, rises = state
        inside = left + (right - left) * jnp.linspace(0.0, 1.0, PARTS + 1)
        trial = value(inside)
        low, high = jnp.min(trial), jnp.max(trial)
        rise = jnp.maximum(high - highest, 0.0) + jnp.maximum(lowest - low, 0.0)
        rises = jnp.where(indices(ROUNDS) == round_, rise, rises)
        return *_steepest(inside, trial), jnp.minimum(lowest, low), jnp.maximum(highest, high), rises

    state = (*_steepest(points, found), jnp.max(found), jnp.min(found), jnp.zeros(ROUNDS))
    rises = repeat(ROUNDS, magnify, state)[-1]
    early, late = jnp.sum(rises[1 : WINDOW + 1]), jnp.sum(rises[-WINDOW:])
    growing = (late > early / 2) & (late > NO_RISE * size)
    # A comparison with NaN is false.
    return (jnp.max(jnp.abs(found)) <= LARGEST_VALUE) & ~growing & jnp.isfinite(late)


def _steepest(points: jax.Array, found: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The gap with the largest change, and its neighbours."""
    gap = argmax(jnp.abs(jnp.diff(found)))
    last = points.shape[0] - 1
    return points[jnp.maximum(gap - 1, 0)], points[jnp.minimum(gap + 2, last)]
