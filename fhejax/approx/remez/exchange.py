"""Remez's exchange algorithm on the host: best approximation in the maximum norm."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.chebyshev import chebval, chebvander

from fhejax.approx.errors.alternation import peaks, select
from fhejax.approx.errors.magnification import candidates, refined
from fhejax.approx.remez.linear_minimax import linear_minimax
from fhejax.approx.remez.target import Target

GRID_DENSITY = 24
SERIES_DENSITY = 4
SMALLEST_GRID = 512
EXCHANGES = 80
CONVERGED = 1e-11
RISE = 1e-9
STALLED = 4
ASTRAY = 1 + 5e-7
# How closely extrema are found follows how near the largest error is to the level.
FAR, CLOSE = 2.0, 1.01
FEW_ROUNDS, MOST_ROUNDS = 2, 14
ROUNDS = 12
NOISE = 256
LARGEST_ON_GRID = 256
COARSENING = 2
ON_GRID = 1e-8


@dataclass(frozen=True)
class Solution:
    """A solution: coefficients of a target's orders or of all up to the degree, and what is proved of it.

    Attributes:
        coefficients: float64, one for each order.
        error: the largest weighted one.
        ratio: that error over the level below which there is none.
    """

    coefficients: np.ndarray
    error: float
    ratio: float


@dataclass(frozen=True)
class _Grid:
    points: np.ndarray
    basis: np.ndarray
    residual: np.ndarray
    weight: np.ndarray


def remez(target: Target, extra: np.ndarray | None = None) -> Solution:
    """The best weighted approximation of a target, by the exchange of all extrema at once.

    E. Remez, 1934; Cheney, Introduction to Approximation Theory, 1966, chapter 3. On a reference of
    one point more than there are coefficients plus the error, the levelled error grows with each
    exchange, because the point of largest error is always taken in and signs always alternate.
    It stops when the largest error is within 1e-11 of the levelled one, or rounding errors stop it;
    the best iterate is returned. Where the error has far more extrema than the reference, most of them
    equal, the exchange can stall above the optimum; then `linear_minimax` solves on the grid and the
    extrema found between, which ends after a few rounds at any degree. The ratio of the result is its
    proof: no polynomial of the degree has an error below error / ratio (de la Vallee-Poussin).

    Args:
        target: what is left of the function to fit.
        extra: further points of [-1, 1] to look at, (n,) float64, where the grid missed an error.

    Returns:
        A `Solution` with all coefficients, (degree + 1,) float64.

    Raises:
        ValueError: a weight that is positive at too few points.
    """
    grid = _grid(target, np.empty(0) if extra is None else extra)
    if not np.any(grid.residual):
        return _complete(target, Solution(np.zeros(len(target.orders)), 0.0, 1.0))
    solution = _exchanged(target, grid, _start(target, grid))
    stalled = solution.ratio > ASTRAY and solution.error > NOISE * target.resolution
    if stalled:
        solve = _on_grid if len(target.orders) <= LARGEST_ON_GRID else _least_squares
        solution = min(solution, solve(target, grid), key=lambda trial: trial.error)
    return _complete(target, solution)


def _exchanged(target: Target, grid: _Grid, reference: np.ndarray) -> Solution:
    best, highest, stalled = Solution(np.zeros(len(target.orders)), np.inf, np.inf), 0.0, 0
    for _ in range(EXCHANGES):
        try:
            coefficients, level = _levelled(target, reference)
        except np.linalg.LinAlgError:
            # The points of a reference can come too close to be told apart.
            break
        points, errors = _alternation(target, grid, coefficients, reference, level)
        chosen = select(errors, len(reference))
        largest, smallest = float(np.max(np.abs(errors))), float(np.min(np.abs(errors[chosen])))
        ratio = largest / smallest if smallest > 0 and len(chosen) == len(reference) else np.inf
        better = largest < best.error * (1 - RISE) or abs(level) > highest * (1 + RISE)
        highest, stalled = max(highest, abs(level)), 0 if better else stalled + 1
        if largest < best.error:
            best = Solution(coefficients, largest, ratio)
        if ratio <= 1 + CONVERGED or stalled > STALLED or len(chosen) < len(reference):
            break
        reference = points[chosen]
    return best


def _on_grid(target: Target, grid: _Grid) -> Solution:
    """The optimum on some points of the grid, to which those where it is exceeded are added in turn."""
    points, best = grid.points[::COARSENING], Solution(np.zeros(len(target.orders)), np.inf, np.inf)
    for _ in range(ROUNDS):
        weight = target.weight(points)
        rows, right = weight[:, None] * _basis(target, points), weight * target.residual(points)
        optimum = linear_minimax(rows, right, tolerance=ON_GRID)
        extrema, largest = _near_largest(target, grid, optimum.solution, points, optimum.error)
        ratio = largest / optimum.level if optimum.level > 0 else np.inf
        if largest < best.error:
            best = Solution(optimum.solution, largest, ratio)
        if ratio <= ASTRAY:
            break
        points = np.union1d(points, extrema)
    return best


def _near_largest(
    target: Target, grid: _Grid, coefficients: np.ndarray, others: np.ndarray, level: float
) -> tuple[np.ndarray, float]:
    """The points of all errors near the level or above, and the largest error."""
    points = np.union1d(grid.points, others)
    errors = _errors(target, coefficients, points)
    tops = candidates(errors, level)
    extrema, errors = _refined(target, grid, coefficients, points[tops], errors[tops], MOST_ROUNDS)
    return extrema, float(np.max(np.abs(errors)))


def _least_squares(target: Target, grid: _Grid) -> Solution:
    rows, right = grid.weight[:, None] * grid.basis, grid.weight * grid.residual
    solution = np.linalg.lstsq(rows, right, rcond=None)[0]
    level = float(np.sqrt(np.mean((right - rows @ solution) ** 2)))
    _, largest = _near_largest(target, grid, solution, grid.points, level)
    # No polynomial has a smaller mean square, and none a largest error below its root.
    return Solution(solution, largest, largest / level if level > 0 else np.inf)


def _complete(target: Target, solution: Solution) -> Solution:
    """The solution with what the target left out; errors below its resolution count as that."""
    coefficients = target.base.copy()
    coefficients[target.orders] += solution.coefficients
    ratio = 1.0 if solution.error <= target.resolution else solution.ratio
    return Solution(coefficients, max(solution.error, target.resolution), ratio)


def _basis(target: Target, points: np.ndarray) -> np.ndarray:
    return chebvander(points, int(target.orders[-1]))[:, target.orders]


def _grid(target: Target, extra: np.ndarray) -> _Grid:
    count = max(SMALLEST_GRID, GRID_DENSITY * (len(target.orders) + 1), SERIES_DENSITY * target.terms)
    angles = np.linspace(np.pi, 0, count + 1)
    unit = np.cos(angles)
    points = []
    for index, (start, stop) in enumerate(target.pieces):
        # In a half range the full range's density at 0 is that of its middle, not of an end.
        local = np.sin(angles[::-1] / 2) if start == 0.0 and index == 0 else (unit + 1) / 2
        spread = np.clip(start + (stop - start) * local, start, stop)
        # Odd functions vanish at 0, which is no point of an alternation.
        spread = spread[spread > 0] if target.orders[0] == 1 else spread
        points.append(spread)
    joined = np.concatenate(points)
    if len(extra):
        joined = np.union1d(joined, np.abs(extra) if target.pieces[0][0] >= 0 else extra)
    weight = target.weight(joined)
    # Without weight there is no error; the rest has to carry the alternation.
    joined, weight = joined[weight > 0], weight[weight > 0]
    if len(joined) <= len(target.orders):
        raise ValueError(
            "the weight is positive at too few points of the interval to determine a polynomial of "
            f"degree {int(target.orders[-1])}; give a weight that is positive on most of it."
        )
    return _Grid(joined, _basis(target, joined), target.residual(joined), weight)


def _start(target: Target, grid: _Grid) -> np.ndarray:
    """The Leja points of the grid: each maximises the product of its distances to those before it."""
    folded = len(target.orders) > 1 and target.orders[1] - target.orders[0] == 2
    coordinate = grid.points**2 if folded else grid.points
    first = int(np.argmax(np.abs(coordinate)))
    chosen = [first]
    logarithms = np.zeros(len(coordinate))
    with np.errstate(divide="ignore"):
        for _ in range(len(target.orders)):
            logarithms += np.log(np.abs(coordinate - coordinate[chosen[-1]]))
            chosen.append(int(np.argmax(logarithms)))
    return np.sort(grid.points[chosen])


def _levelled(target: Target, reference: np.ndarray) -> tuple[np.ndarray, float]:
    """The coefficients and the error E that solve p(t_k) + (-1)^k E / w(t_k) = f(t_k)."""
    signs = (-1.0) ** np.arange(len(reference))
    matrix = np.column_stack([_basis(target, reference), signs / target.weight(reference)])
    solution = np.linalg.solve(matrix, target.residual(reference))
    return solution[:-1], float(solution[-1])


def _errors(target: Target, coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    series = np.zeros(int(target.orders[-1]) + 1)
    series[target.orders] = coefficients
    return target.weight(points) * (target.residual(points) - chebval(points, series))


def _levelled_errors(
    target: Target, coefficients: np.ndarray, reference: np.ndarray, level: float
) -> np.ndarray:
    """The errors on the reference, whose signs alternate also where rounding hides them."""
    found = _errors(target, coefficients, reference)
    expected = (level or np.finfo(np.float64).tiny) * (-1.0) ** np.arange(len(reference))
    return np.where(found * expected > 0, found, expected)


def _alternation(
    target: Target, grid: _Grid, coefficients: np.ndarray, reference: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The point of largest error in each run of one sign, and the error there."""
    points = np.concatenate([grid.points, reference])
    on_grid = grid.weight * (grid.residual - grid.basis @ coefficients)
    errors = np.concatenate([on_grid, _levelled_errors(target, coefficients, reference, level)])
    order = np.argsort(points, kind="stable")
    points, errors = points[order], errors[order]
    tops = peaks(errors)
    excess = np.max(np.abs(errors)) / abs(level) if level else np.inf
    if excess > FAR:
        return points[tops], errors[tops]
    # A smaller maximum of a run may rise above its largest one between the points.
    tops = np.union1d(tops, candidates(errors, abs(level)))
    rounds = MOST_ROUNDS if excess < CLOSE else FEW_ROUNDS
    points, errors = _refined(target, grid, coefficients, points[tops], errors[tops], rounds)
    tops = peaks(errors)
    return points[tops], errors[tops]


def _brackets(target: Target, grid: _Grid, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The grid points next to each point on either side, or the end of its piece."""
    starts, stops = np.array(target.pieces).T
    piece = np.searchsorted(starts, points, side="right") - 1
    before = np.searchsorted(grid.points, points, side="left") - 1
    after = np.searchsorted(grid.points, points, side="right")
    low = np.where(before >= 0, np.maximum(grid.points[np.maximum(before, 0)], starts[piece]), starts[piece])
    high = np.minimum(grid.points[np.minimum(after, len(grid.points) - 1)], stops[piece])
    return np.minimum(low, points), np.maximum(high, points)


def _refined(
    target: Target,
    grid: _Grid,
    coefficients: np.ndarray,
    points: np.ndarray,
    errors: np.ndarray,
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The peaks moved to the largest error between their neighbours, and the errors there."""
    low, high = _brackets(target, grid, points)
    return refined(lambda at: _errors(target, coefficients, at), points, errors, low, high, rounds)
