"""Linear minimax by exchange in JAX: fixed shapes, safe in a scope of x64 under every transformation.

Products are sums here, and inverses, argmax and loops written out: JAX batches dot_general, and lowers
LU and argmax, when the surrounding function is transformed or compiled, and that may happen outside of
the scope that makes them float64.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

CLOSE_ENOUGH = 1e-9


class Reference(NamedTuple):
    """A reference of columns + 1 rows: their indices and signs, and the inverse of [signs rows, 1]."""

    rows: jax.Array
    signs: jax.Array
    inverse: jax.Array


def exchange(rows: jax.Array, right: jax.Array) -> Reference:
    """The reference on which max |right - rows x| is smallest.

    Stiefel's exchange: the row of largest error enters, and one leaves so that all multipliers stay
    nonnegative and the level of the error grows. `linear_minimax` solves the same problem on the host.

    Args:
        rows: (rows, columns) float64, of full column rank.
        right: (rows,) float64.
    """
    noise = rounding(right)

    def unfinished(state: Any) -> jax.Array:
        return ~state[1] & (state[2] < 40 * rows.shape[1] + 200)

    def step(state: Any) -> Any:
        (index, signs, inverse), _, count = state
        solution = dot(inverse, signs * right[index])
        errors = right - dot(rows, solution[:-1])
        worst = argmax(jnp.abs(errors))
        sign = jnp.where(errors[worst] > 0, 1.0, -1.0)
        done = ~(jnp.abs(errors[worst]) > solution[-1] * (1 + CLOSE_ENOUGH) + noise)
        direction = dot(inverse.T, jnp.append(sign * rows[worst], 1.0))
        leaves = ~done & (indices(index.size) == _leaving(inverse[-1], direction))
        index, signs = jnp.where(leaves, worst, index), jnp.where(leaves, sign, signs)
        return Reference(index, signs, _replaced(inverse, direction, leaves)), done, count + 1

    start = _signed(rows, right, _start(rows, right))
    return lax.while_loop(unfinished, step, (start, jnp.array(False), jnp.int32(0)))[0]


def inverse_of(rows: jax.Array, signs: jax.Array) -> jax.Array:
    """The inverse of [signs rows, 1], which maps signs right to the solution and the level of the error."""
    return _inverted(jnp.column_stack([signs[:, None] * rows, jnp.ones(len(signs))]))


def dot(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """The product of a matrix and a vector over the last axis."""
    return jnp.sum(matrix * jnp.broadcast_to(vector, matrix.shape), axis=-1)


def argmax(values: jax.Array) -> jax.Array:
    """The index of the largest entry of a vector, the first of several, int32."""
    count = values.shape[0]
    return jnp.min(jnp.where(values == jnp.max(values), indices(count), jnp.int32(count - 1)))


def indices(count: int) -> jax.Array:
    """The numbers 0, 1, .. below `count`, as int32."""
    return jnp.arange(count, dtype=jnp.int32)


def repeat(count: int, body: Callable[[jax.Array, Any], Any], start: Any) -> Any:
    """A loop of `count` rounds, `lax.fori_loop`, that counts in int32."""
    return lax.fori_loop(jnp.int32(0), jnp.int32(count), body, start)


def rounding(right: jax.Array) -> jax.Array:
    """The rounding error of errors against this right side, a scalar."""
    return 64 * jnp.finfo(right.dtype).eps * (1 + jnp.max(jnp.abs(right)))


def _leaving(multipliers: jax.Array, direction: jax.Array) -> jax.Array:
    """The row whose multiplier is the first to become zero as the entering row's grows."""
    allowed = direction > 1e-12 * jnp.max(jnp.abs(direction))
    steps = jnp.maximum(multipliers, 0.0) / jnp.where(allowed, direction, 1.0)
    return argmax(jnp.where(allowed, -steps, -jnp.inf))


def _replaced(inverse: jax.Array, direction: jax.Array, leaves: jax.Array) -> jax.Array:
    """Sherman and Morrison's update when one row of the matrix becomes direction @ matrix."""
    pivot = jnp.sum(jnp.where(leaves, direction, 0.0))
    change = jnp.where(leaves, direction - 1.0, direction) / jnp.where(pivot == 0, 1.0, pivot)
    return inverse - jnp.outer(jnp.sum(jnp.where(leaves, inverse, 0.0), axis=1), change)


def _start(rows: jax.Array, right: jax.Array) -> jax.Array:
    """The pivot rows of Gaussian elimination, and the row that interpolation on them leaves worst off."""
    columns = rows.shape[1]

    def eliminate(k: jax.Array, state: Any) -> Any:
        remainder, index = state
        column = remainder[:, k]
        pivot = argmax(jnp.abs(column))
        remainder = remainder - jnp.outer(column, remainder[pivot] / column[pivot])
        return remainder, jnp.where(indices(columns) == k, pivot, index)

    both = jnp.concatenate([rows, right[:, None]], axis=1)
    remainder, index = repeat(columns, eliminate, (both, jnp.zeros(columns, jnp.int32)))
    used = jnp.any(indices(len(rows))[:, None] == index[None, :], axis=1)
    return jnp.append(index, argmax(jnp.where(used, -1.0, jnp.abs(remainder[:, -1]))))


def _signed(rows: jax.Array, right: jax.Array, index: jax.Array) -> Reference:
    """The reference with signs for which the multipliers of the rows are nonnegative, and so is the level."""
    chosen = rows[index]
    last = jnp.where(indices(index.size) == index.size - 1, 1.0, 0.0)
    # With [rows, last] in place of [rows, signs] the bottom of the inverse is the rows' null vector.
    inverse = _inverted(jnp.column_stack([chosen, last]))
    null = inverse[-1]
    signs = jnp.where(null < 0, -1.0, 1.0)
    change = dot(inverse, signs - last) / jnp.sum(jnp.abs(null))
    signs = jnp.where(dot(null, right[index]) >= 0, signs, -signs)
    inverse = inverse - jnp.outer(change, null)
    level = jnp.where(dot(null, right[index]) >= 0, inverse[-1], -inverse[-1])
    inverse = jnp.concatenate([inverse[:-1], level[None, :]])
    return Reference(index, signs, inverse * signs[None, :])


def _inverted(matrix: jax.Array) -> jax.Array:
    """Gauss and Jordan's inverse with partial pivoting."""
    size = matrix.shape[0]
    rows = indices(size)

    def eliminate(k: jax.Array, both: jax.Array) -> jax.Array:
        column = both[:, k]
        pivot = argmax(jnp.where(rows >= k, jnp.abs(column), -1.0))
        order = jnp.where(rows == k, pivot, jnp.where(rows == pivot, k, rows))
        both, column = both[order], column[order]
        scaled = both[k] / column[k]
        rest = both - jnp.outer(column, scaled)
        return jnp.where((rows == k)[:, None], scaled[None, :], rest)

    return repeat(size, eliminate, jnp.concatenate([matrix, jnp.eye(size)], axis=1))[:, size:]
