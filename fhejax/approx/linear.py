"""Linear minimax on finitely many rows: the dual simplex method as an exchange of single rows."""

from typing import NamedTuple

import numpy as np

from fhejax.approx.alternation import peaks

CLOSE_ENOUGH = 1e-9
COARSENING = 8
REFINEMENTS = 8
REFINED = 2e-3


class LinearOptimum(NamedTuple):
    """The solution, its largest error, the level below which no solution has it, and the rows in proof."""

    solution: np.ndarray
    error: float
    level: float
    rows: np.ndarray


def linear_minimax(matrix: np.ndarray, right: np.ndarray) -> LinearOptimum:
    """The x that minimises max |right - matrix x|, in float64.

    ``matrix`` is (rows, columns) of full column rank with more rows than columns; weights are
    multiplied into both arguments. Stiefel's exchange (Numerische Mathematik 1, 1959; Cheney, 1966,
    chapter 2), which needs no Haar condition: it holds columns + 1 rows with nonnegative
    multipliers, levels the error on them, takes in the row of largest error and lets out the one
    whose multiplier first becomes zero, so that the levelled error never falls. It stops when no
    error is more than 1e-9 above it.
    """
    if len(right) <= matrix.shape[1] or np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise ValueError(
            f"A minimax problem of {matrix.shape[1]} unknowns needs more rows than that, and independent "
            f"columns, but its {len(right)} rows do not determine them; use more points or a lower degree."
        )
    scale = np.max(np.abs(matrix), axis=0)
    scaled = matrix / np.where(scale > 0, scale, 1.0)
    rows = _start(scaled, right)
    signs = _signs(scaled[rows], right[rows])
    noise = 64 * np.finfo(np.float64).eps * (1 + np.max(np.abs(right)))
    best, smallest, level = np.zeros(matrix.shape[1]), np.inf, 0.0
    for _ in range(40 * len(rows) + 200):
        inverse = np.linalg.inv(np.column_stack([signs[:, None] * scaled[rows], np.ones(len(rows))]))
        solution = inverse @ (signs * right[rows])
        errors = right - scaled @ solution[:-1]
        worst = int(np.argmax(np.abs(errors)))
        largest, level = abs(errors[worst]), max(level, float(solution[-1]))
        if largest < smallest:
            best, smallest = solution[:-1], largest
        if largest <= solution[-1] * (1 + CLOSE_ENOUGH) + noise:
            break
        sign = 1.0 if errors[worst] > 0 else -1.0
        leaving = _leaving(inverse, np.append(sign * scaled[worst], 1.0))
        rows[leaving], signs[leaving] = worst, sign
    return LinearOptimum(best / np.where(scale > 0, scale, 1.0), float(smallest), level, rows)


def minimax_on_grid(rows: np.ndarray, right: np.ndarray) -> LinearOptimum:
    """``linear_minimax`` for rows in the order of points on a line, with errors of few oscillations a row.

    It solves for every eighth row, and again with the rows added at which the error came out larger,
    until none is more than 0.2% above.
    """
    active = np.arange(0, len(right), COARSENING)
    for _ in range(REFINEMENTS):
        optimum = linear_minimax(rows[active], right[active])
        errors = right - rows @ optimum.solution
        tops = peaks(errors)
        larger = tops[np.abs(errors[tops]) > optimum.error * (1 + REFINED)]
        if not larger.size:
            break
        active = np.union1d(active, larger)
    return optimum._replace(error=float(np.max(np.abs(errors))), rows=active[optimum.rows])


def _leaving(inverse: np.ndarray, entering: np.ndarray) -> int:
    multipliers, direction = inverse[-1], entering @ inverse
    allowed = direction > 1e-12 * np.max(np.abs(direction))
    steps = np.where(allowed, np.maximum(multipliers, 0.0), np.inf) / np.where(allowed, direction, 1.0)
    return int(np.argmin(steps))


def _start(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Rows that are far from dependent (pivoted Gram-Schmidt), and the one worst interpolated."""
    remainder = matrix.copy()
    rows = []
    for _ in range(matrix.shape[1]):
        rows.append(int(np.argmax(np.einsum("ij,ij->i", remainder, remainder))))
        unit = remainder[rows[-1]] / np.linalg.norm(remainder[rows[-1]])
        remainder -= np.outer(remainder @ unit, unit)
    errors = np.abs(right - matrix @ np.linalg.solve(matrix[rows], right[rows]))
    errors[rows] = -1.0
    return np.array([*rows, int(np.argmax(errors))])


def _signs(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Signs for which the multipliers of the reference are nonnegative, and so is its error."""
    null = np.linalg.svd(matrix.T)[2][-1]
    signs = np.where(null < 0, -1.0, 1.0)
    return signs if null @ right >= 0 else -signs
