"""Magnification: the largest errors between the points of a grid, found beside its peaks."""

from collections.abc import Callable

import numpy as np

from fhejax.approx.errors.alternation import local_maxima

PARTS = np.linspace(0.0, 1.0, 9)
ROUNDS = 14
FEWEST_ROUNDS = 6
GAIN = 1e-13
NEARLY_LARGEST = 0.9
RESOLVED = 2e-3
MOST = 48


def candidates(errors: np.ndarray, largest: float) -> np.ndarray:
    """The indices beside which an error may be largest of all: local maxima, and both sides of jumps."""
    jumps = np.flatnonzero(np.abs(np.diff(errors)) > largest / 2)
    found = np.union1d(local_maxima(np.abs(errors)), np.concatenate([jumps, jumps + 1]))
    return found[np.abs(errors[found]) >= NEARLY_LARGEST * largest]


def refined(
    error_at: Callable[[np.ndarray], np.ndarray],
    points: np.ndarray,
    errors: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    rounds: int = ROUNDS,
) -> tuple[np.ndarray, np.ndarray]:
    """The points moved to the largest error of their sign between low and high, to an eighth each round.

    Args:
        error_at: the errors at points (m,), float64.
        points: where each search begins, (n,) float64.
        errors: the errors there, (n,).
        low: the lower end of each search, (n,).
        high: the upper end of each search, (n,).
        rounds: at most this many.

    Returns:
        The points that were reached and the errors there, (n,) each.
    """
    signs = np.where(errors >= 0, 1.0, -1.0)
    sizes, rows = np.abs(errors), np.arange(len(points))
    for done in range(rounds):
        trial = low[:, None] + (high - low)[:, None] * PARTS
        found = signs[:, None] * error_at(trial.ravel()).reshape(trial.shape)
        peak = np.argmax(found, axis=1)
        better = found[rows, peak] > sizes
        gain = np.max(np.where(better, found[rows, peak] - sizes, 0.0))
        points = np.where(better, trial[rows, peak], points)
        sizes = np.where(better, found[rows, peak], sizes)
        step = (high - low) / (len(PARTS) - 1)
        low, high = np.maximum(low, points - step), np.minimum(high, points + step)
        if done + 1 >= FEWEST_ROUNDS and gain <= GAIN * np.max(sizes):
            break
    return points, signs * sizes


def largest_between(
    error_at: Callable[[np.ndarray], np.ndarray], points: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The places between points of a grid where errors may exceed all on it by 0.2%, and the errors there.

    Of many such gaps those 48 are taken in which errors can rise furthest, and those at the largest errors;
    there are none where the grid resolves the errors.

    Args:
        error_at: the errors at points (m,), float64.
        points: the grid in increasing order, (n,) float64.
        errors: the errors on it, (n,).

    Returns:
        Points and errors, of one shape (k,).
    """
    sizes = np.abs(errors)
    reach = _reach(points, sizes)
    wide = np.flatnonzero(reach > (1 + RESOLVED) * np.max(sizes, initial=0.0))
    beside = np.maximum(sizes[:-1], sizes[1:])[wide]
    most = np.union1d(wide[np.argsort(reach[wide])[-MOST:]], wide[np.argsort(beside)[-MOST:]])
    if not most.size:
        return most.astype(np.float64), most.astype(np.float64)
    # From both ends, as at a jump either side may have the larger error.
    ends = np.concatenate([most, most + 1])
    low, high = np.tile(points[most], 2), np.tile(points[most + 1], 2)
    return refined(error_at, points[ends], errors[ends], low, high)


def _reach(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The size that errors may have in each gap, where they go on from both sides, or jump."""
    gaps, steps = np.diff(points), np.diff(sizes)
    slopes = np.divide(steps, gaps, out=np.zeros_like(gaps), where=gaps > 0)
    rising = np.maximum(np.concatenate([[np.inf], slopes[:-1]]), 0)
    falling = np.maximum(np.concatenate([-slopes[1:], [np.inf]]), 0)
    with np.errstate(invalid="ignore"):
        meeting = np.minimum(sizes[:-1] + rising * gaps, sizes[1:] + falling * gaps)
    jumping = np.maximum(sizes[:-1], sizes[1:]) + np.abs(steps)
    return np.fmax(meeting, jumping)
