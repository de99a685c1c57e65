"""Linear maps between bases, as small float64 NumPy matrices computed on the host.

A polynomial of degree d on [a, b] is sum_k c_k T_k(t) with t = (2x - a - b) / (b - a); every map
here acts on the last axis of an array of such coefficients, by a product with its transpose.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from fhejax.approx.intervals import Interval


def midpoint_and_scale(interval: Interval) -> tuple[float, float]:
    """The pair (m, s) for which t = (x - m) s maps the interval onto [-1, 1]."""
    start, stop = interval
    return start + (stop - start) / 2, 2 / (stop - start)


def from_unit(points: np.ndarray, interval: Interval) -> np.ndarray:
    """The points of [-1, 1] mapped affinely to the interval, never past its ends; (n,) float64."""
    midpoint, scale = midpoint_and_scale(interval)
    return np.clip(midpoint + points / scale, *interval)


def to_unit(points: np.ndarray, interval: Interval) -> np.ndarray:
    """The points of the interval mapped affinely to [-1, 1]; any shape, float64."""
    midpoint, scale = midpoint_and_scale(interval)
    return (points - midpoint) * scale


def derivative_matrix(degree: int, interval: Interval) -> np.ndarray:
    """The matrix (max(degree, 1), degree + 1) that takes the coefficients of p to those of dp/dx.

    T_k' = 2k (T_{k-1} + T_{k-3} + ...), the term in T_0 halved, times the slope of t.
    """
    if degree == 0:
        return np.zeros((1, 1))
    _, scale = midpoint_and_scale(interval)
    return chebyshev.chebder(np.eye(degree + 1), scl=scale)


def monomials_to_chebyshev(degree: int, interval: Interval) -> np.ndarray:
    """The matrix (degree + 1, degree + 1) whose column k holds x^k in the Chebyshev basis."""
    midpoint, scale = midpoint_and_scale(interval)
    columns: list[np.ndarray] = [np.ones(1)]
    for _ in range(degree):
        columns.append(chebyshev.chebmul(columns[-1], [midpoint, 1 / scale]))
    return _columns(columns, degree)


def chebyshev_to_monomials(degree: int, interval: Interval) -> np.ndarray:
    """The matrix (degree + 1, degree + 1) whose column k holds T_k(t) in powers of x."""
    midpoint, scale = midpoint_and_scale(interval)
    unit = np.array([-midpoint * scale, scale])
    columns = [np.ones(1), unit]
    for _ in range(degree - 1):
        twice = polynomial.polymul(2 * unit, columns[-1])
        columns.append(polynomial.polysub(twice, columns[-2]))
    return _columns(columns[: degree + 1], degree)


def interpolated(function: Callable[[np.ndarray], Any], degree: int) -> np.ndarray:
    """The Chebyshev coefficients, (degree + 1,), that interpolate at as many nodes of the first kind.

    Args:
        function: maps the nodes in [-1, 1], (degree + 1,) float64, to values of the same shape.
        degree: that of the interpolant.
    """
    return chebyshev.chebinterpolate(function, degree)


def without_rounding_noise(coefficients: np.ndarray) -> np.ndarray:
    """The coefficients with those below (degree + 1) 2^-52 of the largest one set to an exact zero.

    Such entries are no larger than the rounding errors of the fit. Once they are zero, the parity
    of an odd or even approximation can be read off, and an evaluator skips half of the terms.

    Args:
        coefficients: (*channels, degree + 1) float64.
    """
    epsilon = coefficients.shape[-1] * np.finfo(np.float64).eps
    floor = epsilon * np.max(np.abs(coefficients), axis=-1, keepdims=True)
    return np.where(np.abs(coefficients) <= floor, 0.0, coefficients)


def _columns(columns: list[np.ndarray], degree: int) -> np.ndarray:
    # NumPy's products trim trailing zeros, so the lengths differ.
    return np.stack([np.pad(c, (0, degree + 1 - len(c))) for c in columns], axis=1)
