"""Measurement of the errors of approximations, on fine grids in float64 on the host."""

import dataclasses
import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial.chebyshev import chebval

from fhejax.approx.boundedness import LARGEST_VALUE, check_size, samples
from fhejax.approx.checks import coefficients_on_host, shown
from fhejax.approx.errors.alternation import alternation_ratio, local_maxima
from fhejax.approx.errors.magnification import largest_between
from fhejax.approx.functions import Function, derivative_of, name_of, values
from fhejax.approx.intervals import Interval, Intervals
from fhejax.approx.polynomials.basis import from_unit, to_unit
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.polynomial import Polynomial

CHEBYSHEV_POINTS = 1 << 12
IRREGULAR_POINTS = 1 << 13
CLOSE_POINTS = 1 << 10
POINTS_PER_DEGREE = 64
LARGEST_GRID = 1 << 17
BEYOND_POINTS = 257
WIDER = 1.05


def error(approximation: Any, function: str | Function) -> np.ndarray | float:
    """The maximum of |p(x) - function(x)| over the approximation's interval, in float64.

    Measured on a grid of 8,192 irregular points, Chebyshev points dense against the degree, the ends, and 0
    where activation functions have their kink, and magnified where it does not resolve the error: below the
    true maximum by less than 0.5% where nothing happens within less than 1/8,192 of the interval.

    Args:
        approximation: a `Polynomial`, or a composition of them in one variable.
        function: a name, or an elementwise JAX function.

    Returns:
        A float, or an array of shape `channels` for a family of polynomials.

    Raises:
        TypeError: no approximation, or traced coefficients; as `chebyshev` for the function.
        ValueError: as `chebyshev` for the function.
    """
    check_approximation(approximation)
    return _largest_error(approximation, function, approximation.interval)


def derivative_error(polynomial: Polynomial, function: str | Function) -> np.ndarray | float:
    """The maximum of |p'(x) - function'(x)|, measured like `error`: what training sees of the fit.

    Args:
        polynomial: a `Polynomial`.
        function: a name, or an elementwise JAX function, which JAX differentiates.

    Returns:
        A float, or an array of shape `channels` for a family of polynomials.

    Raises:
        TypeError: no `Polynomial`, or traced coefficients; as `chebyshev` for the function.
        ValueError: as `chebyshev` for the function and its derivative.
    """
    if not isinstance(polynomial, Polynomial):
        raise TypeError(
            f"the error of a derivative is measured of a Polynomial, but {shown(polynomial)} of type "
            f"{type(polynomial).__name__} was given; pass the result of a fit."
        )
    return _largest_error(polynomial.derivative(), derivative_of(function), polynomial.interval)


def root_mean_square_error(approximation: Any, function: str | Function) -> np.ndarray | float:
    """The root of the mean of (p(x) - function(x))^2 over the interval, in float64.

    Args:
        approximation: a `Polynomial`, or a composition of them in one variable.
        function: a name, or an elementwise JAX function.

    Returns:
        A float, or an array of shape `channels` for a family of polynomials.

    Raises:
        TypeError: as `error`.
        ValueError: as `error`.
    """
    check_approximation(approximation)
    count = max(CHEBYSHEV_POINTS, POINTS_PER_DEGREE * (approximation.degree + 1))
    start, stop = approximation.interval
    points = np.linspace(start, stop, count + 1)
    squares = (on_host(approximation, points) - values(function, points)) ** 2
    return np.sqrt(np.mean((squares[..., 1:] + squares[..., :-1]) / 2, axis=-1))


def check_approximation(approximation: Any) -> None:
    """Refuse everything but a polynomial, or a composition of them in one variable.

    Raises:
        TypeError: anything else.
    """
    composed = all(hasattr(approximation, name) for name in ("apply", "interval", "degree"))
    if isinstance(approximation, type) or not (isinstance(approximation, Polynomial) or composed):
        raise TypeError(
            "an error is measured of a Polynomial, or of a composition of them in one variable, but "
            f"{shown(approximation)} of type {type(approximation).__name__} was given; pass a fit's result."
        )


def on_host(approximation: Any, points: np.ndarray) -> np.ndarray:
    """The values of a polynomial or composition at points (n,), float64; channels come first."""
    if not isinstance(approximation, Polynomial):
        with np.errstate(over="ignore", invalid="ignore"):
            return approximation.apply(points, on_host)
    coefficients = coefficients_on_host(approximation.coefficients, "measured against a function")
    # Composites grow past the largest float not far outside of their interval.
    with np.errstate(over="ignore", invalid="ignore"):
        return chebval(to_unit(points, approximation.interval), np.moveaxis(coefficients, -1, 0))


class Measured(NamedTuple):
    """Weighted errors on a grid and between its points, and the largest values of both functions."""

    points: np.ndarray
    errors: np.ndarray
    between: np.ndarray
    errors_between: np.ndarray
    size: float
    largest_value: float

    @property
    def largest(self) -> float:
        """The largest error, on the grid and between."""
        return float(max(np.max(np.abs(self.errors)), np.max(np.abs(self.errors_between), initial=0.0)))

    def above(self, error: float) -> np.ndarray:
        """The places where the error has maxima above this one, (k,) float64."""
        sizes = np.abs(self.errors)
        tops = local_maxima(sizes)
        between = self.between[np.abs(self.errors_between) > error]
        return np.concatenate([self.points[tops[sizes[tops] > error]], between])


def measured(
    approximation: Any,
    function: str | Function,
    interval: Interval,
    weight: str | Function | None = None,
) -> Measured:
    """The weighted errors of one approximation on an interval.

    Args:
        approximation: a `Polynomial` without channels, or a composition in one variable.
        function: a name, or an elementwise JAX function.
        interval: where they are measured.
        weight: a function by which the errors are multiplied; 1 by default.

    Raises:
        ValueError: values of the function or the approximation that are above 1e30 or not finite there.
    """

    def error_at(points: np.ndarray) -> np.ndarray:
        errors = values(function, points) - on_host(approximation, points)
        return errors if weight is None else values(weight, points) * errors

    points = grid(approximation.degree, interval)
    found, exact = on_host(approximation, points), values(function, points)
    check_size(function, points, exact)
    size = float(np.max(np.abs(found)))
    if not size <= LARGEST_VALUE:
        raise ValueError(
            f"the approximation of {name_of(function)} on {interval} comes to {size:.3g} itself, above "
            f"{LARGEST_VALUE:g}, so that float32 cannot evaluate it; lower the degree or narrow the interval."
        )
    weights = np.ones(1) if weight is None else values(weight, points)
    errors = weights * (exact - found)
    largest_value = float(np.max(np.abs(weights * exact)))
    return Measured(points, errors, *largest_between(error_at, points, errors), size, largest_value)


def certified(approximation: Any, function: str | Function, intervals: Intervals | None = None) -> Any:
    """The approximation with a certificate measured against the function.

    Args:
        approximation: a `Polynomial` without channels, or a composition in one variable.
        function: a name, or an elementwise JAX function.
        intervals: where it is measured; by default the approximation's own.

    Raises:
        ValueError: as `measured`.
    """
    intervals = (approximation.interval,) if intervals is None else intervals
    pieces = [measured(approximation, function, interval) for interval in intervals]
    errors = np.concatenate([piece.errors for piece in pieces])
    largest = max(piece.largest for piece in pieces)
    ratio = np.inf
    if isinstance(approximation, Polynomial) and largest > 0:
        # What was found between the points counts as well.
        ratio = alternation_ratio(errors, approximation.degree + 2) * largest / np.max(np.abs(errors))
    certificate = Certificate(
        error=largest,
        ratio=ratio,
        growth=growth(approximation, intervals, max(piece.size for piece in pieces)),
        degree=approximation.degree,
        depth=approximation.depth,
        intervals=intervals,
    )
    return dataclasses.replace(approximation, certificate=certificate)


def growth(approximation: Any, intervals: Intervals, inside: float) -> float:
    """The largest magnitude up to 1.05 times the hull of the intervals, over `inside`, the one on them."""
    first, last = intervals[0][0], intervals[-1][1]
    lowest, highest = widened((first, last))
    gaps = [(left[1], right[0]) for left, right in itertools.pairwise(intervals)]
    beyond = [np.linspace(lowest, first, BEYOND_POINTS), np.linspace(last, highest, BEYOND_POINTS)]
    outside = np.concatenate([*beyond, *(grid(approximation.degree, gap) for gap in gaps)])
    found = np.nan_to_num(on_host(approximation, outside), nan=np.inf, posinf=np.inf, neginf=np.inf)
    return float(max(1.0, np.max(np.abs(found)) / inside)) if inside > 0 else 1.0


def widened(hull: Interval) -> tuple[float, float]:
    """The hull, 1.05 times as wide, about its middle."""
    middle, radius = hull[0] + (hull[1] - hull[0]) / 2, (hull[1] - hull[0]) / 2
    return middle - WIDER * radius, middle + WIDER * radius


def grid(degree: int, interval: Interval) -> np.ndarray:
    """The points of an interval, in order, on which a polynomial of this degree shows its maximum error."""
    points = from_unit(_unit_grid(min(POINTS_PER_DEGREE * (degree + 1), LARGEST_GRID)), interval)
    if not interval[0] <= 0 <= interval[1]:
        return points
    close = np.geomspace(1e-6, 1.0, CLOSE_POINTS)
    kink = np.concatenate([close[::-1] * interval[0], [0.0], close * interval[1]])
    # Of two increasing sequences, this is a merge.
    return np.sort(np.concatenate([points, kink]), kind="stable")


@functools.lru_cache(maxsize=16)
def _unit_grid(least: int) -> np.ndarray:
    regular = np.cos(np.linspace(np.pi, 0, max(CHEBYSHEV_POINTS, least) + 1))
    points = np.unique(np.concatenate([regular, samples(max(IRREGULAR_POINTS, least))]))
    points.flags.writeable = False
    return points


def _largest_error(approximation: Any, function: str | Function, interval: Interval) -> Any:
    def error_at(points: np.ndarray) -> np.ndarray:
        return values(function, points) - on_host(approximation, points)

    points = grid(approximation.degree, interval)
    errors = error_at(points)
    largest = np.empty(errors.shape[:-1])
    for channel in np.ndindex(largest.shape):
        between = largest_between(lambda at, of=channel: error_at(at)[of], points, errors[channel])[1]
        largest[channel] = max(np.max(np.abs(errors[channel])), np.max(np.abs(between), initial=0.0))
    return largest if largest.shape else float(largest)
