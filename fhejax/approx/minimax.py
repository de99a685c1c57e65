"""Best approximation in the maximum norm, of values alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.approx import implicit
from fhejax.approx.certificate import Certificate
from fhejax.approx.checks import check_degree, check_intervals
from fhejax.approx.functions import Function, bound
from fhejax.approx.measure import growth
from fhejax.approx.polynomial import Polynomial, depth_of_degree
from fhejax.approx.remez import remez
from fhejax.approx.target import target


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
    certificate whose ratio is 1 up to rounding, for errors down to 1e-15 of the function's size.

    Where the ends, the parameters or what the function closes over are traced by JAX, the same fit
    runs under jit, vmap and grad in float64, whatever jax_enable_x64 says: coefficients and
    ``certificate.error`` carry first-order derivatives by the implicit function theorem, with respect
    to all of them; NaN then marks bad intervals. With traced ends the result is a ``Composite`` of the
    affine map to [-1, 1] and a polynomial there. Errors: as ``chebyshev``, and ValueError for
    overlapping intervals or a negative weight.
    """
    degree = check_degree(degree)
    if implicit.is_needed(function, interval, parameters, weight):
        return implicit.fit(function, degree, interval, parameters, weight)
    intervals = check_intervals(interval)
    function, weight = bound(function, parameters), bound(weight, parameters)
    solution = remez(target(function, degree, intervals, weight))
    polynomial = Polynomial(solution.coefficients, (intervals[0][0], intervals[-1][1]))
    spread = growth(polynomial, intervals)
    depth = depth_of_degree(degree)
    certificate = Certificate(solution.error, solution.ratio, spread, degree, depth, intervals)
    return Polynomial(np.asarray(solution.coefficients), polynomial.interval, certificate)
