"""Interpolation at Chebyshev nodes."""

import numpy as np

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, values
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import from_unit, interpolated, without_rounding_noise
from fhejax.approx.polynomials.polynomial import Polynomial


def chebyshev(function: str | Function, degree: int, interval: Interval) -> Polynomial:
    """The interpolant of a function at degree + 1 Chebyshev nodes.

    The nodes are those of the first kind, cos((2k + 1) pi / (2 degree + 2)) mapped to the interval.
    The maximum error is at most 2 + (2 / pi) log(degree + 1) times that of the best polynomial of
    this degree, one plus the Lebesgue constant (Rivlin, The Chebyshev Polynomials, 1974, theorem
    1.2); for activation functions usually 1.5 to 3.5 times. Runs on the host in float64.

    Args:
        function: a name of `FUNCTIONS`, or an elementwise JAX function.
        degree: an integer from 0 to 1,023.
        interval: a pair (a, b).

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: an interval that is no pair of real numbers, a degree that is no integer, no function, or
            one that cannot be applied to an array.
        ValueError: an interval that is empty or not finite, a degree that is negative or above 1,023, an
            unknown name, or a function that is not elementwise, not finite, unbounded or above 1e30 on the
            interval.
    """
    degree, interval = check_degree(degree), check_interval(interval)
    check_function(function, (interval,))

    def at_unit(nodes: np.ndarray) -> np.ndarray:
        return values(function, from_unit(nodes, interval))

    coefficients = without_rounding_noise(interpolated(at_unit, degree))
    return certified(Polynomial.from_chebyshev(coefficients, interval), function)
