"""Linear minimax problems on finitely many rows, by an interior-point method."""

from typing import NamedTuple

import numpy as np

from fhejax.approx.errors.alternation import peaks

CLOSE_ENOUGH = 1e-10
ITERATIONS = 60
STALLED = 5
TOWARDS_BOUNDARY = 0.995
EPSILON = np.finfo(np.float64).eps
COARSENING = 8
ROWS_PER_UNKNOWN = 40
REFINEMENTS = 8
REFINED = 2e-3
ON_GRID = 1e-6


class LinearOptimum(NamedTuple):
    """An optimum: the solution, its largest error, and the level below which no solution has it."""

    solution: np.ndarray
    error: float
    level: float


class _Iterate(NamedTuple):
    """An iterate of the interior-point method.

    Attributes:
        unknowns: (columns,) float64.
        bound: of the magnitude of all errors.
        slacks: the distances of errors from both bounds, (2, rows).
        multipliers: those of both signs, (2, rows).
    """

    unknowns: np.ndarray
    bound: float
    slacks: np.ndarray
    multipliers: np.ndarray


def linear_minimax(matrix: np.ndarray, right: np.ndarray, tolerance: float = CLOSE_ENOUGH) -> LinearOptimum:
    """The x that minimises max |right - matrix x|, in float64.

    The least-squares solution is taken out first, so that errors far below the right side keep their
    digits. The rest is the linear program of the smallest bound t with |error| <= t, solved by Mehrotra's
    predictor and corrector (SIAM J. Optim. 2, 1992), whose few dozen iterations do not depend on how many
    errors are largest at once; exchanges stall there. Each iterate's multipliers, made orthogonal to the
    columns, prove a level.

    Args:
        matrix: (rows, columns) of full column rank with more rows than columns; weights are multiplied
            into both arguments.
        right: (rows,).
        tolerance: it stops when the error is within this of the level, relatively.

    Raises:
        ValueError: rows that do not determine the unknowns.
    """
    basis, triangle = _orthonormal(matrix, right)
    start = basis.T @ right / len(right)
    residual = right - basis @ start
    size = float(np.max(np.abs(residual)))
    if size <= 64 * EPSILON * np.max(np.abs(right)):
        return LinearOptimum(np.linalg.solve(triangle, start), size, 0.0)
    unknowns, smallest, level = _smallest_bound(basis, residual / size, tolerance)
    solution = np.linalg.solve(triangle, start + size * unknowns)
    return LinearOptimum(solution, size * smallest, size * level)


def minimax_on_grid(rows: np.ndarray, right: np.ndarray) -> LinearOptimum:
    """The optimum of `linear_minimax` for rows in the order of points on a line, sooner.

    It solves for every eighth row, or 40 for each unknown if these are fewer, and again with the rows
    added at which the error came out larger, until none is more than 0.2% above.

    Args:
        rows: (rows, columns) float64, whose errors oscillate few times a row.
        right: (rows,) float64.

    Raises:
        ValueError: as `linear_minimax`.
    """
    active = np.arange(0, len(right), max(COARSENING, len(right) // (ROWS_PER_UNKNOWN * rows.shape[1])))
    optimum, errors = _on_some_rows(rows, right, active)
    for _ in range(REFINEMENTS - 1):
        tops = peaks(errors)
        larger = tops[np.abs(errors[tops]) > optimum.error * (1 + REFINED)]
        if not larger.size:
            break
        active = np.union1d(active, larger)
        optimum, errors = _on_some_rows(rows, right, active)
    return optimum._replace(error=float(np.max(np.abs(errors))))


def _on_some_rows(
    rows: np.ndarray, right: np.ndarray, active: np.ndarray
) -> tuple[LinearOptimum, np.ndarray]:
    """The optimum on the active rows, and its errors on all."""
    optimum = linear_minimax(rows[active], right[active], tolerance=ON_GRID)
    return optimum, right - rows @ optimum.solution


def _orthonormal(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The orthogonal columns of entries near 1, and the triangle that maps unknowns to theirs."""
    count = matrix.shape[1]
    basis, triangle = np.linalg.qr(matrix)
    pivots = np.abs(np.diag(triangle))
    if len(right) <= count or np.min(pivots) <= count * EPSILON * np.max(pivots):
        raise ValueError(
            f"a minimax problem of {count} unknowns needs more rows than that, and independent "
            f"columns, but its {len(right)} rows do not determine them; use more points or a lower degree."
        )
    return basis * np.sqrt(len(right)), triangle / np.sqrt(len(right))


def _smallest_bound(
    basis: np.ndarray, right: np.ndarray, tolerance: float
) -> tuple[np.ndarray, float, float]:
    """The unknowns, their largest error, and the level that is proved."""
    current = _start(basis, right)
    best, smallest, level, stalled = current.unknowns, np.inf, 0.0, 0
    for _ in range(ITERATIONS):
        largest = float(np.max(np.abs(right - basis @ current.unknowns)))
        proved = _proved(basis, right, current.multipliers)
        progress = largest < smallest * (1 - tolerance) or proved > level * (1 + tolerance)
        stalled = 0 if progress else stalled + 1
        level = max(level, proved)
        if largest < smallest:
            best, smallest = current.unknowns, largest
        if smallest <= level * (1 + tolerance) or stalled > STALLED:
            break
        try:
            current = _improved(basis, right, current)
        except np.linalg.LinAlgError:
            break
    return best, smallest, level


def _start(basis: np.ndarray, right: np.ndarray) -> _Iterate:
    bound = 1.1 * float(np.max(np.abs(right)))
    multipliers = np.full((2, len(right)), 0.5 / len(right))
    return _Iterate(np.zeros(basis.shape[1]), bound, _slacks(right, bound), multipliers)


def _slacks(errors: np.ndarray, bound: float) -> np.ndarray:
    return np.stack([bound - errors, bound + errors])


def _proved(basis: np.ndarray, right: np.ndarray, multipliers: np.ndarray) -> float:
    """A lower bound of every solution's error: |m right| / |m|_1 of multipliers with m basis = 0."""
    signed = multipliers[0] - multipliers[1]
    signed = signed - basis @ (basis.T @ signed) / len(right)
    mass = float(np.sum(np.abs(signed)))
    return abs(float(signed @ right)) / mass if mass > 0 else 0.0


def _improved(basis: np.ndarray, right: np.ndarray, current: _Iterate) -> _Iterate:
    """The next iterate, after one step of predictor and corrector."""
    slacks, multipliers = current.slacks, current.multipliers
    newton = _Newton(basis, slacks, multipliers)
    gap = float(np.mean(slacks * multipliers))
    _, _, slack_change, change = newton.direction(np.zeros_like(slacks))
    primal, dual = _length(slacks, slack_change), _length(multipliers, change)
    predicted = float(np.mean((slacks + primal * slack_change) * (multipliers + dual * change)))
    centred = (predicted / gap) ** 3 * gap
    step, rise, slack_change, change = newton.direction((centred - slack_change * change) / slacks)
    primal = min(1.0, TOWARDS_BOUNDARY * _length(slacks, slack_change))
    dual = min(1.0, TOWARDS_BOUNDARY * _length(multipliers, change))
    unknowns, bound = current.unknowns + primal * step, current.bound + primal * rise
    errors = right - basis @ unknowns
    # Rounding may put an error on its bound.
    bound = max(bound, float(np.max(np.abs(errors))) * (1 + EPSILON))
    slacks = np.maximum(_slacks(errors, bound), EPSILON**2)
    return _Iterate(unknowns, bound, slacks, multipliers + dual * change)


class _Newton:
    """The Newton equations of an iterate, reduced to the unknowns and the bound, and scaled."""

    def __init__(self, basis: np.ndarray, slacks: np.ndarray, multipliers: np.ndarray) -> None:
        self.basis, self.multipliers = basis, multipliers
        self.weights = multipliers / slacks
        difference = basis.T @ (self.weights[0] - self.weights[1])
        total = np.sum(self.weights, axis=0)
        # A product of a matrix with its own transpose takes half the time of another.
        rows = np.sqrt(total)[:, None] * basis
        matrix = np.block(
            [
                [rows.T @ rows, difference[:, None]],
                [difference[None, :], np.sum(total, keepdims=True)[None, :]],
            ]
        )
        self.scale = 1 / np.sqrt(np.diag(matrix))
        self.matrix = matrix * self.scale[:, None] * self.scale

    def direction(self, aim: np.ndarray) -> tuple[np.ndarray, float, np.ndarray, np.ndarray]:
        """The changes of unknowns, bound, slacks and multipliers, these towards `aim` (2, rows)."""
        right = np.append(self.basis.T @ (aim[0] - aim[1]), np.sum(aim) - 1)
        solved = self.scale * np.linalg.solve(self.matrix, self.scale * right)
        step, rise = solved[:-1], float(solved[-1])
        moved = self.basis @ step
        slacks = np.stack([rise + moved, rise - moved])
        return step, rise, slacks, aim - self.multipliers - self.weights * slacks


def _length(values: np.ndarray, changes: np.ndarray) -> float:
    """The longest step of at most 1 that leaves no value negative."""
    falling = changes < 0
    return float(min(1.0, np.min(-values[falling] / changes[falling], initial=1.0)))
