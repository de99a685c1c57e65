"""Conditions on a function before it is fitted: elementwise, bounded, and small enough for floats."""

import functools
from typing import NamedTuple

import numpy as np

from fhejax.approx.functions import Function, name_of, values
from fhejax.approx.intervals import Interval
from fhejax.approx.polynomials.basis import from_unit

SAMPLES = 1 << 14
ALONE = 128
SAME = 1e-6
# What float32 holds with room for the arithmetic of an evaluation.
LARGEST_VALUE = 1e30
BENT = 1e-4
MAGNIFIED = 16
PARTS = 16
ROUNDS = 16
WINDOW = 4
NO_RISE = 1e-9


def check_function(
    function: str | Function, intervals: tuple[Interval, ...], *, bounded: bool = True
) -> None:
    """Refuse a function that no polynomial is near on all of the intervals.

    It is sampled at 16,384 irregular points of each interval, between which no oscillation hides. Where
    it bends most it is magnified: towards a pole or a logarithm's singularity its values keep growing,
    towards a jump or a kink they do not. What happens within less than 1/16,384 of an interval can be
    missed.

    Args:
        function: a name or an elementwise JAX function.
        intervals: pairs (a, b) as `check_intervals` returns them.
        bounded: whether values above 1e30, beyond which float32 does not evaluate a fit, are refused.

    Raises:
        ValueError: the function is not finite at a point, grows without bound near one, is not elementwise
            or, if it has to be `bounded`, exceeds 1e30; otherwise as `values`.
        TypeError: as `values`.
    """
    for interval in intervals:
        points = from_unit(samples(SAMPLES), interval)
        if interval[0] < 0 < interval[1]:
            # Where functions have their kinks and poles if anywhere.
            points[min(np.searchsorted(points, 0.0), len(points) - 2)] = 0.0
        found = values(function, points)
        _check_elementwise(function, points, found)
        if bounded:
            check_size(function, points, found)
        _check_growth(function, points, found)


@functools.lru_cache(maxsize=8)
def samples(count: int) -> np.ndarray:
    """The increasing points of [-1, 1] at which functions are sampled, (count,) float64.

    They are both ends, and one at random in each of count - 2 equal parts; equal counts give equal points.
    """
    inside = np.arange(count - 2) + np.random.default_rng(count).random(count - 2)
    points = np.concatenate([[-1.0], 2 * inside / (count - 2) - 1, [1.0]])
    points.flags.writeable = False
    return points


def check_size(function: str | Function, points: np.ndarray, found: np.ndarray) -> None:
    """Refuse values above 1e30 in magnitude.

    Args:
        function: the function whose values they are, for the message.
        points: where it was evaluated, (n,) float64.
        found: its values there, of the same shape.

    Raises:
        ValueError: a value is above 1e30.
    """
    worst = int(np.argmax(np.abs(found)))
    if abs(found[worst]) > LARGEST_VALUE:
        raise ValueError(
            f"the function {name_of(function)} reaches {found[worst]:.3g} at {points[worst]:g}, but an "
            f"approximation has values of at most {LARGEST_VALUE:g}, so that float32 can evaluate it; divide "
            "the function by a constant, or narrow the interval."
        )


def _check_elementwise(function: str | Function, points: np.ndarray, found: np.ndarray) -> None:
    some = slice(None, None, len(points) // ALONE)
    alone = values(function, points[some])
    if not np.allclose(alone, found[some], rtol=SAME, atol=SAME * np.max(np.abs(found))):
        raise ValueError(
            f"the function {name_of(function)} is not elementwise: its values at {len(alone)} points are "
            f"others when {len(points) - len(alone)} further points are given with them; pass a function "
            "that maps each number by itself."
        )


class _Extremes(NamedTuple):
    """The smallest and the largest value so far near each of several places, (places,) each."""

    low: np.ndarray
    high: np.ndarray


def _check_growth(function: str | Function, points: np.ndarray, found: np.ndarray) -> None:
    """Magnify where the function bends most, and see whether its values there keep growing."""
    left, right = _brackets(points, found)
    if not len(left):
        return
    size = float(np.ptp(found))
    extremes = _Extremes(np.full(len(left), np.inf), np.full(len(left), -np.inf))
    rises = []
    for _ in range(ROUNDS):
        inside = left[:, None] + (right - left)[:, None] * np.linspace(0, 1, PARTS + 1)
        trial = values(function, inside)
        low, high = np.min(trial, axis=1), np.max(trial, axis=1)
        rise = np.maximum(high - extremes.high, 0) + np.maximum(extremes.low - low, 0)
        extremes = _Extremes(np.minimum(extremes.low, low), np.maximum(extremes.high, high))
        rises.append(rise)
        if len(rises) > WINDOW and np.max(np.sum(rises[-WINDOW:], axis=0)) <= NO_RISE * size:
            return
        left, right = _steepest(inside, trial)
    # The first rise is that over nothing.
    early, late = np.sum(rises[1 : WINDOW + 1], axis=0), np.sum(rises[-WINDOW:], axis=0)
    growing = np.flatnonzero((late > early / 2) & (late > NO_RISE * size))
    if growing.size:
        worst = growing[np.argmax(late[growing])]
        reached = max(extremes.high[worst], -extremes.low[worst])
        raise ValueError(
            f"the function {name_of(function)} grows without bound near {left[worst]:.9g}, which lies in the "
            f"interval: it reaches {reached:.3g} there, and more the closer one looks. No polynomial is near "
            "it; leave a gap around that point, or narrow the interval."
        )


def _brackets(points: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours of the points that lie furthest from the line between them, if far at all."""
    before, after = found[:-2], found[2:]
    share = (points[1:-1] - points[:-2]) / (points[2:] - points[:-2])
    bends = np.abs(found[1:-1] - before - share * (after - before))
    most = np.argsort(bends)[-MAGNIFIED:]
    middle = most[bends[most] > BENT * np.ptp(found)] + 1
    return points[middle - 1], points[middle + 1]


def _steepest(inside: np.ndarray, trial: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The part of each row with the largest change, and its neighbours."""
    rows = np.arange(len(inside))
    part = np.argmax(np.abs(np.diff(trial, axis=1)), axis=1)
    return inside[rows, np.maximum(part - 1, 0)], inside[rows, np.minimum(part + 2, PARTS)]
