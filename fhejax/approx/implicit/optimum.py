"""Best approximation inside JAX transformations: fixed shapes, and implicit derivatives.

At the optimum the error is levelled on degree + 2 points, s_k r(x_k) = E. Extrema inside of an interval
move without effect, those at an end move with it, so coefficients and error have the derivatives of one
linear system: the exchange that found the points is never differentiated.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree

from fhejax.approx.implicit.linear_exchange import (
    argmax,
    dot,
    exchange,
    indices,
    inverse_of,
    repeat,
    rounding,
)
from fhejax.approx.implicit.singularity import is_tame

DENSITY = 32
SMALLEST_GRID = 256
POLISHING = 26
NEAR = np.linspace(-1.0, 1.0, 7)


class Problem(NamedTuple):
    """A problem of best approximation, static.

    Attributes:
        function: elementwise in x, with further arguments.
        degree: that of the polynomial.
        weight: a function of the same arguments by which errors are multiplied, or None.
        slope_weight: what errors of slopes are multiplied by; None where they do not count.
    """

    function: Callable[..., jax.Array]
    degree: int
    weight: Callable[..., jax.Array] | None = None
    slope_weight: float | None = None


class Points(NamedTuple):
    """Points at which errors are taken, x = middle + radius cos(angle) of a piece; (points,) each.

    Attributes:
        angle: from 0 to pi, float64.
        piece: the index of the piece, int32.
        slope: whether the error is that of p' - f', bool.
    """

    angle: jax.Array
    piece: jax.Array
    slope: jax.Array


class Level(NamedTuple):
    """A levelled reference: its points and signs, the inverse of its system, and the levelled solution."""

    points: Points
    signs: jax.Array
    inverse: jax.Array
    coefficients: jax.Array
    error: jax.Array


class Optimum(NamedTuple):
    """A best approximation, as arrays.

    Attributes:
        coefficients: in the Chebyshev basis on the hull of the ends, (degree + 1,).
        error: the largest weighted error, a scalar.
        ratio: that error over its level, a scalar.
    """

    coefficients: jax.Array
    error: jax.Array
    ratio: jax.Array


def solve(problem: Problem, ends: Any, parameters: Any) -> Optimum:
    """The best approximation on several pieces, differentiable in their ends and in the parameters.

    Computed in float64, returned in JAX's default floating dtype. NaN where the ends do not increase,
    or the function is not finite, above 1e30 or unbounded. Derivatives are of first order: a second one
    would leave out how the extrema move.

    Args:
        problem: what is approximated, static.
        ends: pairs of scalars, one for each piece, in increasing order.
        parameters: a pytree of arrays, the further arguments of the function.
    """
    dtype = jnp.result_type(float)
    ends, parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), (ends, parameters))
    arguments = jnp.stack([jnp.stack(piece) for piece in ends]), parameters

    @jax.custom_jvp
    def fit(arguments: Any) -> Optimum:
        return _in_double(_optimum_alone, problem, arguments)

    @fit.defjvp
    def fit_jvp(primals: Any, tangents: Any) -> tuple[Optimum, Optimum]:
        optimum, jacobian = _in_double(_with_jacobian, problem, primals[0])
        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tangents[0])])
        change = jnp.matmul(jacobian, flat, precision=lax.Precision.HIGHEST)
        return optimum, Optimum(change[:-1], change[-1], jnp.zeros_like(change[-1]))

    return fit(arguments)


def _in_double(function: Callable[..., Any], problem: Problem, arguments: Any) -> Any:
    """The value of function(problem, *arguments) in float64, in the dtype of the arguments.

    Compiled whatever `jax_disable_jit` says: step by step it would take minutes, and `jax_debug_nans` would
    refuse the NaN that stands for no answer in branches that are not taken.
    """
    with jax.disable_jit(False):
        return _compiled(function, problem, arguments)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(function: Callable[..., Any], problem: Problem, arguments: Any) -> Any:
    dtype = jax.tree.leaves(arguments)[0].dtype
    with jax.enable_x64(True):
        raised = jax.tree.map(lambda leaf: lax.convert_element_type(leaf, jnp.float64), arguments)
        return jax.tree.map(lambda leaf: leaf.astype(dtype), function(problem, *raised))


def _optimum_alone(problem: Problem, ends: jax.Array, parameters: Any) -> Optimum:
    return _optimum(problem, ends, parameters)[0]


def _with_jacobian(problem: Problem, ends: jax.Array, parameters: Any) -> tuple[Optimum, jax.Array]:
    """The optimum, and d(coefficients, error) / d(ends, parameters) of shape (degree + 2, arguments)."""
    optimum, level, extremes = _optimum(problem, ends, parameters)
    flat, unravel = ravel_pytree((ends, parameters))

    def residuals(arguments: jax.Array) -> jax.Array:
        moved_ends, moved_parameters = unravel(arguments)
        rows, right = _system(problem, moved_ends, moved_parameters, level.points)
        return level.signs * (right - dot(rows, level.coefficients))

    changes = jax.jacfwd(residuals)(flat)
    jacobian = jnp.sum(level.inverse[:, :, None] * changes[None, :, :], axis=1)
    # What is no optimum has no derivative either.
    jacobian = jnp.where(jnp.isnan(optimum.error), jnp.nan, jacobian)
    if problem.slope_weight is None:
        return optimum, jacobian

    def middle(arguments: jax.Array) -> jax.Array:
        moved_ends, moved_parameters = unravel(arguments)
        rows, right = _system(problem, moved_ends, moved_parameters, extremes)
        return jnp.mean(right - dot(rows, level.coefficients))

    mean_row = jnp.mean(_system(problem, ends, parameters, extremes)[0], axis=0)
    shift = jax.jacfwd(middle)(flat) - dot(jacobian[:-1].T, mean_row)
    return optimum, jnp.where((indices(len(jacobian)) == 0)[:, None], jacobian + shift[None, :], jacobian)


def _optimum(problem: Problem, ends: jax.Array, parameters: Any) -> tuple[Optimum, Level, Points]:
    """The optimum, its reference, and where the errors of values are extreme."""
    grid = _grid(problem, ends)
    rows, right = _system(problem, ends, parameters, grid)
    index, signs, inverse = exchange(rows, right)
    points = Points(*(field[index] for field in grid))
    level = _levelled(points, signs, inverse, right[index])
    if problem.slope_weight is None:
        level = _polished(problem, ends, parameters, level)
    coefficients = level.coefficients
    shift, extremes = _middle(rows, right, grid, coefficients)
    if problem.slope_weight is not None:
        coefficients = jnp.where(indices(problem.degree + 1) == 0, coefficients + shift, coefficients)
    largest = jnp.maximum(jnp.max(jnp.abs(right - dot(rows, coefficients))), level.error)
    ratio = jnp.where(largest > rounding(right), largest / level.error, 1.0)
    optimum = Optimum(coefficients, largest, ratio)
    increasing = jnp.all(jnp.diff(ends.ravel()) > 0) & jnp.all(jnp.isfinite(right))
    good = increasing & is_tame(lambda x: _value(problem, parameters, x), ends)
    return jax.tree.map(lambda leaf: jnp.where(good, leaf, jnp.nan), optimum), level, extremes


def _levelled(points: Points, signs: jax.Array, inverse: jax.Array, right: jax.Array) -> Level:
    solution = dot(inverse, signs * right)
    return Level(points, signs, inverse, solution[:-1], solution[-1])


def _middle(
    rows: jax.Array, right: jax.Array, grid: Points, coefficients: jax.Array
) -> tuple[jax.Array, Points]:
    """The constant that levels the values' errors, which slopes may leave free, and their extremes."""
    errors = right - dot(rows, coefficients)
    top = argmax(jnp.where(grid.slope, -jnp.inf, errors))
    bottom = argmax(jnp.where(grid.slope, -jnp.inf, -errors))
    extremes = Points(*(field[jnp.stack([top, bottom])] for field in grid))
    return (errors[top] + errors[bottom]) / 2, extremes


def _grid(problem: Problem, ends: jax.Array) -> Points:
    """The Chebyshev points of each piece, and the point nearest to 0, where activations have their kink."""
    pieces = ends.shape[0]
    count = max(SMALLEST_GRID, DENSITY * (problem.degree + 2))
    middle, radius = (ends[:, 0] + ends[:, 1]) / 2, (ends[:, 1] - ends[:, 0]) / 2
    kinks = jnp.arccos(jnp.clip(-middle / radius, -1.0, 1.0))
    even = jnp.tile(jnp.linspace(0.0, np.pi, count + 1), pieces)
    angle = jnp.concatenate([even, kinks])
    piece = jnp.concatenate([jnp.repeat(indices(pieces), count + 1), indices(pieces)])
    slope = jnp.zeros(angle.shape, bool)
    if problem.slope_weight is None:
        return Points(angle, piece, slope)
    return Points(jnp.tile(angle, 2), jnp.tile(piece, 2), jnp.concatenate([slope, ~slope]))


def _system(
    problem: Problem, ends: jax.Array, parameters: Any, points: Points
) -> tuple[jax.Array, jax.Array]:
    """The weighted basis (points, degree + 1) and values: the error is right - rows @ coefficients."""
    start, stop = ends[points.piece, 0], ends[points.piece, 1]
    x = (start + stop) / 2 + (stop - start) / 2 * jnp.cos(points.angle)
    scale = 2 / (ends[-1, 1] - ends[0, 0])
    unit = (x - (ends[0, 0] + ends[-1, 1]) / 2) * scale

    rows, right = _basis(unit, problem.degree), _value(problem, parameters, x)
    if problem.slope_weight is not None:
        rate = jnp.broadcast_to(scale, unit.shape)
        slopes = jax.jvp(lambda t: _basis(t, problem.degree), (unit,), (rate,))[1]
        rising = jax.jvp(functools.partial(_value, problem, parameters), (x,), (jnp.ones_like(x),))[1]
        rows = jnp.where(points.slope[:, None], problem.slope_weight * slopes, rows)
        right = jnp.where(points.slope, problem.slope_weight * rising, right)
    if problem.weight is None:
        return rows, right
    weight = jnp.asarray(problem.weight(x, *parameters), x.dtype)
    return rows * weight[:, None], right * weight


def _value(problem: Problem, parameters: Any, x: jax.Array) -> jax.Array:
    return jnp.broadcast_to(jnp.asarray(problem.function(x, *parameters), x.dtype), x.shape)


def _basis(unit: jax.Array, degree: int) -> jax.Array:
    """The polynomials T_0 .. T_degree on a new last axis, by the recurrence in a loop: small to compile."""

    def step(pair: Any, _: None) -> Any:
        return (pair[1], 2 * unit * pair[1] - pair[0]), pair[0]

    return lax.scan(step, (jnp.ones_like(unit), unit), None, length=degree + 1)[1].T


def _polished(problem: Problem, ends: jax.Array, parameters: Any, level: Level) -> Level:
    """The reference moved from the grid to the extrema beside it, levelled again after each halving."""
    size = level.signs.size
    spacing = np.pi / max(SMALLEST_GRID, DENSITY * (problem.degree + 2))
    repeated = jax.tree.map(lambda field: jnp.tile(field, len(NEAR)), level.points)

    def polish(_: Any, state: tuple[Level, jax.Array]) -> tuple[Level, jax.Array]:
        current, width = state
        offsets = jnp.repeat(width * jnp.asarray(NEAR), size)
        angle = jnp.clip(jnp.tile(current.points.angle, len(NEAR)) + offsets, 0.0, np.pi)
        rows, right = _system(problem, ends, parameters, repeated._replace(angle=angle))
        errors = (right - dot(rows, current.coefficients)).reshape(len(NEAR), size) * level.signs[None, :]
        best = jax.vmap(argmax, in_axes=1)(errors) * size + indices(size)
        points = current.points._replace(angle=angle[best])
        inverse = inverse_of(rows[best], level.signs)
        return _levelled(points, level.signs, inverse, right[best]), width / 2

    return repeat(POLISHING, polish, (level, jnp.asarray(spacing)))[0]
