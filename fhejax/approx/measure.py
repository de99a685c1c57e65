"""Errors of approximations, measured on fine grids in float64 on the host."""

import dataclasses
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebval

from fhejax.approx.alternation import alternation_ratio
from fhejax.approx.basis import from_unit, to_unit
from fhejax.approx.certificate import Certificate
from fhejax.approx.checks import coefficients_on_host
from fhejax.approx.functions import Function, slopes, values
from fhejax.approx.polynomial import Polynomial

GRID_POINTS = 4096
WIDER = 1.05

Intervals = tuple[tuple[float, float], ...]


def error(approximation: Any, function: str | Function) -> np.ndarray | float:
    """Maximum of |p(x) - function(x)| over a fine grid of the approximation's interval, in float64.

    One number, or an array of shape channels for a family of polynomials. The grid joins evenly
    spaced points, Chebyshev points dense against the degree, the ends, and 0 where activation
    functions have their kink. It is a lower bound of the true maximum, below it by less than a
    thousandth for functions that are smooth at the scale of the grid. Errors: TypeError if the
    coefficients are traced; as ``chebyshev`` for the function.
    """
    points = grid(approximation.degree, approximation.interval)
    return np.max(np.abs(on_host(approximation, points) - values(function, points)), axis=-1)


def derivative_error(polynomial: Polynomial, function: str | Function) -> np.ndarray | float:
    """Maximum of |p'(x) - function'(x)| over the grid of ``error``: what training sees of the fit."""
    points = grid(polynomial.degree, polynomial.interval)
    slope = on_host(polynomial.derivative(), points)
    return np.max(np.abs(slope - slopes(function, points)), axis=-1)


def root_mean_square_error(approximation: Any, function: str | Function) -> np.ndarray | float:
    """Root of the mean of (p(x) - function(x))^2 over the interval."""
    points = np.linspace(*approximation.interval, max(GRID_POINTS, 64 * (approximation.degree + 1)) + 1)
    squares = (on_host(approximation, points) - values(function, points)) ** 2
    return np.sqrt(np.mean((squares[..., 1:] + squares[..., :-1]) / 2, axis=-1))


def on_host(approximation: Any, points: np.ndarray) -> np.ndarray:
    """Values of a polynomial or composite at points (n,), float64; channels come first."""
    if not isinstance(approximation, Polynomial):
        with np.errstate(over="ignore", invalid="ignore"):
            return approximation.apply(points, on_host)
    coefficients = coefficients_on_host(approximation.coefficients, "measured against a function")
    # Composites grow past the largest float not far outside of their interval.
    with np.errstate(over="ignore", invalid="ignore"):
        return chebval(to_unit(points, approximation.interval), np.moveaxis(coefficients, -1, 0))


def certified(approximation: Any, function: str | Function, intervals: Intervals | None = None) -> Any:
    """The approximation with a certificate measured against the function on the intervals."""
    intervals = (approximation.interval,) if intervals is None else intervals
    points = np.concatenate([grid(approximation.degree, interval) for interval in intervals])
    errors = on_host(approximation, points) - values(function, points)
    ratio = np.inf
    if isinstance(approximation, Polynomial):
        ratio = alternation_ratio(errors, approximation.degree + 2)
    certificate = Certificate(
        error=float(np.max(np.abs(errors))),
        ratio=ratio,
        growth=growth(approximation, intervals),
        degree=approximation.degree,
        depth=approximation.depth,
        intervals=intervals,
    )
    return dataclasses.replace(approximation, certificate=certificate)


def growth(approximation: Any, intervals: Intervals) -> float:
    """Largest magnitude up to 1.05 times the hull of the intervals, over the largest on them."""
    hull = (intervals[0][0], intervals[-1][1])
    inside = np.concatenate([grid(approximation.degree, interval) for interval in intervals])
    outside = grid(approximation.degree, widened(hull))
    largest = np.max(np.abs(on_host(approximation, inside)))
    beyond = np.max(np.abs(np.nan_to_num(on_host(approximation, outside), nan=np.inf, posinf=np.inf)))
    return float(max(1.0, beyond / largest)) if largest > 0 else 1.0


def widened(hull: tuple[float, float]) -> tuple[float, float]:
    """The hull, 1.05 times as wide, about its middle."""
    middle, radius = hull[0] + (hull[1] - hull[0]) / 2, (hull[1] - hull[0]) / 2
    return middle - WIDER * radius, middle + WIDER * radius


def grid(degree: int, interval: tuple[float, float]) -> np.ndarray:
    """Points of the interval on which a polynomial of this degree shows its maximum error."""
    count = min(max(GRID_POINTS, 64 * (degree + 1)), 1 << 17)
    even = np.linspace(*interval, count + 1)
    dense = from_unit(np.cos(np.linspace(0, np.pi, count + 1)), interval)
    if not interval[0] <= 0 <= interval[1]:
        return np.unique(np.concatenate([even, dense]))
    close = np.geomspace(1e-6, 1.0, GRID_POINTS // 4)
    kink = np.concatenate([[0.0], close * interval[0], close * interval[1]])
    return np.unique(np.concatenate([even, dense, kink]))
