"""Best approximation in the maximum norm, of values alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.approx import implicit
from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_intervals, check_parameters
from fhejax.approx.errors.measurement import growth, measured
from fhejax.approx.functions import Function, bound
from fhejax.approx.polynomials.basis import to_unit
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.polynomial import Polynomial, depth_of_degree
from fhejax.approx.remez.exchange import remez
from fhejax.approx.remez.target import target

CORRECTIONS = 4
MISSED = 1e-3
ROUNDING = 64 * np.finfo(np.float64).eps

Intervals = tuple[tuple[float, float], ...]


def minimax(
    function: str | Function,
    degree: int,
    interval: Any,
    *,
    weight: str | Function | None = None,
    parameters: Sequence[Any] = (),
) -> Any:
    """The polynomial of this degree with the smallest maximum error, by Remez's algorithm.

    ``interval`` is a pair (a, b), or a sequence of disjoint pairs; the polynomial then belongs to
    their hull, and between them nothing is asked of it. ``function`` is a name or an elementwise JAX
    function of (x, *parameters); ``weight``, of the same arguments, multiplies the error. On the host
    in float64: NumPy coefficients (degree + 1,), exact zeros for an even or odd function, and a
    certificate whose ratio is 1 up to rounding, for errors down to 1e-15 of the function's size. Between
    the points of the algorithm the error is looked at again, and the fit corrected where it was missed.
    Degrees up to 1,023 take seconds; of more than 255 coefficients the best approximation to a function
    that oscillates far faster than the polynomial is replaced by a near one, as the ratio tells.

    Where the ends, the parameters or what the function closes over are traced by JAX, the same fit
    runs under jit, vmap and grad in float64, whatever jax_enable_x64 says: coefficients and
    ``certificate.error`` carry first-order derivatives by the implicit function theorem, with respect
    to all of them; NaN then marks bad intervals and unbounded functions, and degrees go up to 127. With
    traced ends the result is a ``Composite`` of the affine map to [-1, 1] and a polynomial there. Errors:
    as ``chebyshev``, and ValueError for overlapping intervals or a negative weight.
    """
    degree, parameters = check_degree(degree), check_parameters(parameters)
    if implicit.is_needed(function, interval, parameters, weight):
        return implicit.fit(function, degree, interval, parameters, weight)
    intervals = check_intervals(interval)
    function, weight = bound(function, parameters), bound(weight, parameters)
    check_function(function, intervals)
    if weight is not None:
        check_function(weight, intervals, bounded=False)
    return _fit(function, degree, intervals, weight)


def _fit(
    function: str | Function, degree: int, intervals: Intervals, weight: str | Function | None
) -> Polynomial:
    """Remez's solution, checked between the points at which it was found, and corrected there."""
    hull = (intervals[0][0], intervals[-1][1])
    solution = remez(target(function, degree, intervals, weight))
    missed = np.empty(0)
    for correction in range(CORRECTIONS + 1):
        polynomial = Polynomial(solution.coefficients, hull)
        pieces = [measured(polynomial, function, interval, weight) for interval in intervals]
        largest = max(piece.largest for piece in pieces)
        if largest <= solution.error * (1 + MISSED) + ROUNDING * max(piece.largest_value for piece in pieces):
            largest = solution.error
            break
        if correction < CORRECTIONS:
            places = np.concatenate([piece.above(solution.error) for piece in pieces])
            missed = np.union1d(missed, to_unit(places, hull))
            # What was missed is no series of a thousand terms.
            solution = remez(target(function, degree, intervals, weight, smooth=False), missed)
    spread = growth(polynomial, intervals, max(piece.size for piece in pieces))
    ratio = solution.ratio * largest / solution.error if solution.error > 0 else solution.ratio
    certificate = Certificate(largest, ratio, spread, degree, depth_of_degree(degree), intervals)
    return Polynomial(np.asarray(solution.coefficients), hull, certificate)
