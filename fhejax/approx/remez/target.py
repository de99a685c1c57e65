"""The target of a minimax fit: a function on [-1, 1], freed of what every polynomial can match.

An approximation error of 1e-12 cannot be read off values of size one in float64. For a function whose
Chebyshev series converges, the terms up to the degree of the fit are therefore taken out first:
polynomials match them exactly, and the remaining series is as small as the error, known to its own
relative precision. Rounding errors of the values average out over the 16,384 points of the transform.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebval

from fhejax.approx.functions import Function, values
from fhejax.approx.intervals import Interval, Intervals
from fhejax.approx.polynomials.basis import from_unit, to_unit

SERIES_POINTS = 1 << 14
LONGEST_SERIES = 1 << 10
EPSILON = np.finfo(np.float64).eps


@dataclass(frozen=True)
class Target:
    """A target: what is left to fit of a function, in a variable from [-1, 1].

    Attributes:
        residual: what is left, a function of points (n,) float64.
        weight: what errors are multiplied by, alike.
        base: the Chebyshev coefficients that were taken out, (degree + 1,).
        orders: the k of the T_k that fit the rest; of one parity if the problem is even or odd.
        pieces: where it is fitted: in [-1, 1], the smallest interval that holds every piece, or in [0, 1]
            if the problem is even or odd.
        resolution: the rounding of the function's largest value, below which an error means nothing.
        terms: the number of those of a Chebyshev series that describe the function; 0 if it is not known.
    """

    residual: Callable[[np.ndarray], np.ndarray]
    weight: Callable[[np.ndarray], np.ndarray]
    base: np.ndarray
    orders: np.ndarray
    pieces: Intervals
    resolution: float
    terms: int = 0


def target(
    function: str | Function,
    degree: int,
    intervals: Intervals,
    weight: str | Function | None = None,
    *,
    smooth: bool = True,
) -> Target:
    """The target of a fit of this degree.

    Args:
        function: a name, or an elementwise JAX function.
        degree: that of the fit.
        intervals: in increasing order.
        weight: a function by which errors are multiplied, or None.
        smooth: whether the function's Chebyshev series is tried first.

    Raises:
        ValueError: as `values`; a negative weight, when it is evaluated.
    """
    hull = (intervals[0][0], intervals[-1][1])
    pieces = tuple(_piece(interval, hull) for interval in intervals)
    weigh = _weight(weight, hull)
    series = _series_on_hull(function, intervals) if smooth else None
    if series is None:
        residual, base, parity, resolution = _from_values(function, degree, hull, pieces)
    else:
        residual, base, parity, resolution = _from_series(series, degree)
    terms = 0 if series is None else len(series.coefficients)
    if parity is None or not (_is_symmetric(pieces) and _is_even(weigh, pieces)) or degree < parity:
        return Target(residual, weigh, base, np.arange(degree + 1), pieces, resolution, terms)
    halves = tuple((max(start, 0.0), stop) for start, stop in pieces if stop > 0)
    orders = np.arange(parity, degree + 1, 2)
    return Target(residual, weigh, base, orders, halves, resolution, terms)


def _piece(interval: Interval, hull: Interval) -> Interval:
    """The interval mapped by the map that takes the hull to [-1, 1]."""
    start, stop = to_unit(np.asarray(interval), hull)
    return float(start), float(stop)


def _series_on_hull(function: str | Function, intervals: Intervals) -> "ChebyshevSeries | None":
    if len(intervals) == 1:
        return chebyshev_series(function, intervals[0])
    # Between the intervals the function need not be finite.
    with contextlib.suppress(ValueError):
        return chebyshev_series(function, (intervals[0][0], intervals[-1][1]))
    return None


class ChebyshevSeries(NamedTuple):
    """A function's Chebyshev series: coefficients, the size of their rounding errors, its largest value."""

    coefficients: np.ndarray
    floor: float
    largest: float


def chebyshev_series(function: str | Function, interval: Interval) -> ChebyshevSeries | None:
    """The Chebyshev series down to its rounding errors; None if 1,024 terms do not reach them.

    A discrete cosine transform of 16,384 values at Chebyshev points of the first kind; aliasing is
    below the rounding errors wherever the series is accepted.
    """
    angles = (2 * np.arange(SERIES_POINTS) + 1) * np.pi / (2 * SERIES_POINTS)
    samples = values(function, from_unit(np.cos(angles), interval))
    coefficients = _cosine_transform(samples)
    floor = float(np.max(np.abs(coefficients[SERIES_POINTS // 2 :])))
    largest = float(np.max(np.abs(samples)))
    if floor > EPSILON * largest:
        return None
    floor = max(floor, EPSILON**1.5 * largest)
    above = np.flatnonzero(np.abs(coefficients) > 2 * floor)
    length = int(above[-1]) + 1 if above.size else 1
    return ChebyshevSeries(coefficients[:length], floor, largest) if length <= LONGEST_SERIES else None


def _cosine_transform(samples: np.ndarray) -> np.ndarray:
    # The even extension of the samples turns the transform into a real FFT of twice the length.
    count = len(samples)
    spectrum = np.fft.rfft(np.concatenate([samples, samples[::-1]]))[:count]
    coefficients = (spectrum * np.exp(-0.5j * np.pi * np.arange(count) / count)).real / count
    coefficients[0] /= 2
    return coefficients


Parts = tuple[Callable[[np.ndarray], np.ndarray], np.ndarray, int | None, float]


def _from_series(series: ChebyshevSeries, degree: int) -> Parts:
    terms = np.zeros(max(len(series.coefficients), degree + 2))
    terms[: len(series.coefficients)] = series.coefficients
    small = np.abs(terms) <= 8 * series.floor
    parity = next((p for p in (0, 1) if np.all(small[degree + 1 :][(degree + p) % 2 :: 2])), None)
    if parity is not None:
        terms[1 - parity :: 2] = np.where(small[1 - parity :: 2], 0.0, terms[1 - parity :: 2])
    base, tail = terms[: degree + 1].copy(), np.append(np.zeros(degree + 1), terms[degree + 1 :])
    return lambda t: chebval(t, tail), base, parity, float(EPSILON * series.largest)


def _from_values(function: str | Function, degree: int, hull: Interval, pieces: Intervals) -> Parts:
    points = np.concatenate([np.linspace(start, stop, 257) for start, stop in pieces])
    samples = values(function, from_unit(points, hull))
    floor = float(EPSILON * np.max(np.abs(samples)))
    base = np.zeros(degree + 1)

    def direct(t: np.ndarray) -> np.ndarray:
        return values(function, from_unit(t, hull))

    if not _is_symmetric(pieces):
        return direct, base, None, floor
    mirrored = values(function, from_unit(-points, hull))
    even, odd = (samples + mirrored) / 2, (samples - mirrored) / 2
    slope = odd[-1] / points[-1]
    if np.all(np.abs(odd - slope * points) <= 16 * floor) and degree >= 1:
        base[1] = slope
        return lambda t: (direct(t) + direct(-t)) / 2, base, 0, floor
    if np.all(np.abs(even - even[-1]) <= 16 * floor):
        base[0] = even[-1]
        return lambda t: (direct(t) - direct(-t)) / 2, base, 1, floor
    return direct, base, None, floor


def _weight(weight: str | Function | None, hull: Interval) -> Callable[[np.ndarray], np.ndarray]:
    if weight is None:
        return np.ones_like

    def at_unit(t: np.ndarray) -> np.ndarray:
        result = values(weight, from_unit(t, hull))
        if np.min(result) < 0:
            raise ValueError(
                "a weight is nonnegative, but the one given takes the value "
                f"{np.min(result):g} on the interval."
            )
        return result

    return at_unit


def _is_symmetric(pieces: Intervals) -> bool:
    mirrored = tuple((-stop, -start) for start, stop in reversed(pieces))
    return bool(np.allclose(pieces, mirrored, rtol=0, atol=4 * EPSILON))


def _is_even(weigh: Callable[[np.ndarray], np.ndarray], pieces: Intervals) -> bool:
    points = np.concatenate([np.linspace(start, stop, 257) for start, stop in pieces])
    return bool(np.allclose(weigh(points), weigh(-points), rtol=1e-12, atol=0))
