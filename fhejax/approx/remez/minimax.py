"""Best approximation in the maximum norm, of values alone."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_function_parameters
from fhejax.approx.errors.measurement import Measured, growth, measured
from fhejax.approx.functions import Function, bound
from fhejax.approx.implicit.traced_fit import is_needed, traced_fit
from fhejax.approx.intervals import Intervals, check_intervals
from fhejax.approx.polynomials.basis import to_unit
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.exchange import Solution, remez
from fhejax.approx.remez.target import target

CORRECTIONS = 4
MISSED = 1e-3
ROUNDING = 64 * np.finfo(np.float64).eps


def minimax(
    function: str | Function,
    degree: int,
    interval: Any,
    *,
    weight: str | Function | None = None,
    parameters: Sequence[Any] = (),
) -> Any:
    """The polynomial of this degree with the smallest maximum error, by Remez's algorithm.

    On the host in float64, with exact zeros for an even or odd function, and a certificate whose ratio
    is 1 up to rounding, for errors down to 1e-15 of the function's size. Between the points of the
    algorithm the error is looked at again, and the fit corrected where it was missed. Degrees up to 1,023
    take seconds; of more than 255 coefficients the best approximation to a function that oscillates far
    faster than the polynomial is replaced by a near one, as the ratio tells.

    Where the ends, the parameters or what the function closes over are traced by JAX, the same fit
    runs under jit, vmap and grad in float64, whatever jax_enable_x64 says: coefficients and
    `certificate.error` carry first-order derivatives by the implicit function theorem, with respect
    to all of them. NaN then marks bad intervals and unbounded functions.

    Args:
        function: a name, or an elementwise JAX function of (x, *parameters).
        degree: an integer from 0 to 1,023, or to 127 where something is traced.
        interval: a pair (a, b), or a sequence of disjoint pairs: the polynomial then belongs to their hull,
            and between them nothing is asked of it.
        weight: a function of the same arguments by which the error is multiplied; 1 by default.
        parameters: the function's further arguments, traced or not.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,), or where something is traced JAX ones
        in the default dtype; with traced ends a `Composite` of the affine map to [-1, 1] and a polynomial.

    Raises:
        TypeError: as `chebyshev`; parameters that are no real numbers.
        ValueError: as `chebyshev`; intervals that touch or overlap, or a negative weight.
    """
    degree, parameters = check_degree(degree), check_function_parameters(parameters)
    if is_needed(function, interval, parameters, weight):
        return traced_fit(function, degree, interval, parameters, weight)
    intervals = check_intervals(interval)
    function, weight = bound(function, parameters), bound(weight, parameters)
    check_function(function, intervals)
    if weight is not None:
        check_function(weight, intervals, bounded=False)
    return _fit(function, degree, intervals, weight)


def _fit(
    function: str | Function, degree: int, intervals: Intervals, weight: str | Function | None
) -> Polynomial:
    """The polynomial of Remez's solution, checked between the points at which it was found, and corrected."""
    hull = (intervals[0][0], intervals[-1][1])

    def measured_on_all(solution: Solution) -> tuple[Polynomial, list[Measured]]:
        polynomial = Polynomial(np.asarray(solution.coefficients), hull)
        return polynomial, [measured(polynomial, function, interval, weight) for interval in intervals]

    solution, missed = remez(target(function, degree, intervals, weight)), np.empty(0)
    polynomial, pieces = measured_on_all(solution)
    for _ in range(CORRECTIONS):
        if not _is_missed(solution, pieces):
            break
        places = np.concatenate([piece.above(solution.error) for piece in pieces])
        missed = np.union1d(missed, to_unit(places, hull))
        # What was missed is no series of a thousand terms.
        solution = remez(target(function, degree, intervals, weight, smooth=False), missed)
        polynomial, pieces = measured_on_all(solution)
    return dataclasses.replace(polynomial, certificate=_certificate(polynomial, solution, pieces, intervals))


def _is_missed(solution: Solution, pieces: list[Measured]) -> bool:
    """Whether the error measured on the intervals is more than that of the solution and rounding."""
    rounding = ROUNDING * max(piece.largest_value for piece in pieces)
    return max(piece.largest for piece in pieces) > solution.error * (1 + MISSED) + rounding


def _certificate(
    polynomial: Polynomial, solution: Solution, pieces: list[Measured], intervals: Intervals
) -> Certificate:
    """The certificate of a solution, of the error measured where that is larger."""
    largest = max(piece.largest for piece in pieces) if _is_missed(solution, pieces) else solution.error
    spread = growth(polynomial, intervals, max(piece.size for piece in pieces))
    ratio = solution.ratio * largest / solution.error if solution.error > 0 else solution.ratio
    return Certificate(largest, ratio, spread, polynomial.degree, polynomial.depth, intervals)
