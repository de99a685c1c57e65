"""Interpolation at Chebyshev nodes."""

import numpy as np
from numpy.polynomial.chebyshev import chebinterpolate

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_interval
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, values
from fhejax.approx.polynomials.basis import from_unit, without_rounding_noise
from fhejax.approx.polynomials.polynomial import Polynomial


def chebyshev(function: str | Function, degree: int, interval: tuple[float, float]) -> Polynomial:
    """Interpolate an elementwise function, or a named one, at degree + 1 Chebyshev nodes.

    The nodes are those of the first kind, cos((2k + 1) pi / (2 degree + 2)) mapped to the interval.
    The maximum error is at most 2 + (2 / pi) log(degree + 1) times that of the best polynomial of
    this degree, one plus the Lebesgue constant (Rivlin, The Chebyshev Polynomials, 1974, theorem
    1.2); for activation functions usually 1.5 to 3.5 times. Runs on the host in float64 and returns
    NumPy coefficients of shape (degree + 1,). Errors: ValueError or TypeError for a bad interval, a degree
    that is none or above 1,023, an unknown name, or a function that is not elementwise, not finite,
    unbounded or above 1e30 on the interval (``check_function``).
    """
    degree, interval = check_degree(degree), check_interval(interval)
    check_function(function, (interval,))

    def at_unit(nodes: np.ndarray) -> np.ndarray:
        return values(function, from_unit(nodes, interval))

    coefficients = without_rounding_noise(chebinterpolate(at_unit, degree))
    return certified(Polynomial.from_chebyshev(coefficients, interval), function)
