"""Projection on Hermite polynomials: least squares under a normal density."""

import math

import numpy as np
from numpy.polynomial import hermite_e

from fhejax.approx.basis import monomials_to_chebyshev
from fhejax.approx.checks import check_degree, check_interval, check_positive
from fhejax.approx.functions import Function, values
from fhejax.approx.measure import certified
from fhejax.approx.polynomial import Polynomial

REACH = 13.0
POINTS = 1 << 15


def hermite_coefficients(
    function: str | Function, degree: int, *, mean: float = 0.0, deviation: float = 1.0
) -> np.ndarray:
    """E[f(mean + deviation z) h_n(z)] for n = 0 .. degree and z standard normal, float64.

    h_n = He_n / sqrt(n!) are the orthonormal Hermite polynomials in which AESPA (Park et al., 2022)
    expands and normalises activations. By the trapezoidal rule with a kink at z = 0 on a node; exact
    to 1e-7 for ReLU, to rounding for smooth functions. Errors: as ``chebyshev``, where the function
    has to be finite within 13 deviations of the mean.
    """
    degree, deviation = check_degree(degree), check_positive(deviation, "deviation")
    z = np.linspace(-REACH, REACH, POINTS + 1)
    density = np.exp(-(z**2) / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    samples = values(function, mean + deviation * z) * density
    norms = _norms(degree + 1)
    return (hermite_e.hermevander(z, degree) / norms).T @ samples


def hermite(
    function: str | Function,
    degree: int,
    interval: tuple[float, float],
    *,
    mean: float = 0.0,
    deviation: float = 1.0,
) -> Polynomial:
    """The best polynomial in mean square when x is normal: the Hermite expansion cut at a degree.

    Valid on the whole line; ``interval`` is where it is evaluated and certified. Errors: as
    ``hermite_coefficients``.
    """
    interval = check_interval(interval)
    expansion = hermite_coefficients(function, degree, mean=mean, deviation=deviation)
    norms = _norms(len(expansion))
    powers = hermite_e.herme2poly(expansion / norms)
    shifted = np.zeros(1)
    for power in powers[::-1]:
        shifted = np.polynomial.polynomial.polymul(shifted, [-mean / deviation, 1 / deviation])
        shifted = np.polynomial.polynomial.polyadd(shifted, [power])
    monomials = np.pad(shifted, (0, max(0, degree + 1 - len(shifted))))[: degree + 1]
    coefficients = monomials_to_chebyshev(degree, interval) @ monomials
    return certified(Polynomial.from_chebyshev(coefficients, interval), function)


def _norms(count: int) -> np.ndarray:
    """sqrt(n!), of which NumPy has no integers beyond n = 20."""
    return np.sqrt([float(math.factorial(n)) for n in range(count)])
