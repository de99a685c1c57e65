"""Best approximation of values and derivatives together: what training needs of an activation."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_function_parameters, check_positive
from fhejax.approx.errors.measurement import certified, measured
from fhejax.approx.functions import Function, bound, derivative_of, values
from fhejax.approx.implicit.traced_fit import is_needed, traced_fit
from fhejax.approx.intervals import Interval, Intervals, check_intervals
from fhejax.approx.polynomials.basis import derivative_matrix, from_unit, to_unit
from fhejax.approx.polynomials.certificate import certificate_of
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.linear_minimax import LinearOptimum, linear_minimax
from fhejax.approx.remez.target import target

POINTS_PER_DEGREE = 64
SMALLEST_GRID = 512
LARGEST_GRID = 8192
LARGEST_DEGREE = 255
RESOLVED = 0.05


def c1(
    function: str | Function,
    degree: int,
    interval: Any,
    *,
    slope_weight: float = 1.0,
    parameters: Sequence[Any] = (),
) -> Any:
    """The polynomial p with the smallest maximum of |p - f| and slope_weight |p' - f'|.

    A minimax fit of values follows the slope badly: for the sigmoid on (-8, 8) at degree 7 its
    derivative is wrong by 0.141, this one's by 0.031 at an error of 0.031 instead of 0.019. A network
    is trained with p', so that both count. Derivatives are JAX's: at the kink of ReLU the slope jumps
    by 1, and no polynomial's slope comes nearer than 1/2; choose a small `slope_weight` there. The
    optimum on a grid of 64 points for each degree, by `linear_minimax`, within 0.1% of that on the
    interval.

    Args:
        function: a name, or an elementwise JAX function of (x, *parameters).
        degree: an integer from 0 to 255, or to 127 where something is traced.
        interval: a pair (a, b), or several disjoint ones; traced ends as for `minimax`.
        slope_weight: what errors of the slope are multiplied by.
        parameters: the function's further arguments, traced or not.

    Returns:
        As `minimax`; the certificate's error is the larger of the two maxima.

    Raises:
        TypeError: as `minimax`.
        ValueError: as `minimax`, for the derivative as well; a `slope_weight` that is not positive.
    """
    degree, parameters = check_degree(degree, LARGEST_DEGREE), check_function_parameters(parameters)
    slope_weight = check_positive(slope_weight, "weight of the slope")
    if is_needed(function, interval, parameters):
        return traced_fit(function, degree, interval, parameters, slope_weight=slope_weight)
    intervals = check_intervals(interval)
    function = bound(function, parameters)
    check_function(function, intervals)
    check_function(derivative_of(function), intervals)
    count = max(SMALLEST_GRID, POINTS_PER_DEGREE * (degree + 1))
    optimum, polynomial = _fit(function, degree, intervals, slope_weight, count)
    if certificate_of(polynomial).error > optimum.error * (1 + RESOLVED) and count < LARGEST_GRID:
        # The optimum of a grid too coarse for the function is none on the interval.
        finer = _fit(function, degree, intervals, slope_weight, LARGEST_GRID)[1]
        polynomial = min(polynomial, finer, key=lambda trial: certificate_of(trial).error)
    return polynomial


def _fit(
    function: str | Function, degree: int, intervals: Intervals, slope_weight: float, count: int
) -> tuple[LinearOptimum, Polynomial]:
    """The optimum on a grid, and the polynomial with its certificate."""
    hull = (intervals[0][0], intervals[-1][1])
    points = np.concatenate([_points(count, piece) for piece in intervals])
    unit = to_unit(points, hull)
    basis = chebvander(unit, degree)
    slope_basis = chebvander(unit, max(degree - 1, 0)) @ derivative_matrix(degree, hull)
    rows = np.concatenate([basis, slope_weight * slope_basis])
    exact = values(function, points)
    right = np.concatenate([exact, slope_weight * values(derivative_of(function), points)])
    # Of an even or odd problem there is an even or odd optimum.
    reduced = target(function, degree, intervals)
    optimum = linear_minimax(rows[:, reduced.orders], right - rows @ reduced.base)
    coefficients = reduced.base.copy()
    coefficients[reduced.orders] += optimum.solution
    if reduced.orders[0] == 0:
        # The slopes do not see the constant: it levels the errors of the values.
        errors = exact - basis @ coefficients
        coefficients[0] += (np.max(errors) + np.min(errors)) / 2
    polynomial = Polynomial.from_chebyshev(coefficients, hull)
    polynomial = certified(polynomial, function, intervals)
    return optimum, _with_slope(polynomial, intervals, optimum, function, slope_weight)


def _with_slope(
    polynomial: Polynomial,
    intervals: Intervals,
    optimum: LinearOptimum,
    function: str | Function,
    slope_weight: float,
) -> Polynomial:
    """The polynomial with the certificate of the joint problem, whose error is that of slopes as well."""
    slope, rising, values_alone = polynomial.derivative(), derivative_of(function), certificate_of(polynomial)
    steep = max(measured(slope, rising, interval).largest for interval in intervals)
    error = max(values_alone.error, slope_weight * steep)
    ratio = max(1.0, error / optimum.level) if optimum.level > 0 else 1.0
    certificate = dataclasses.replace(values_alone, error=error, ratio=ratio)
    return dataclasses.replace(polynomial, certificate=certificate)


def _points(count: int, interval: Interval) -> np.ndarray:
    points = from_unit(np.cos(np.linspace(np.pi, 0, count + 1)), interval)
    return np.union1d(points, [0.0]) if interval[0] < 0 < interval[1] else points
