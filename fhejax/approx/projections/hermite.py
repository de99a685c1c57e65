"""Projection on Hermite polynomials: least squares under a normal density."""

import math
from collections.abc import Iterator

import numpy as np

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_positive, check_real
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, name_of, values
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import from_unit, interpolated
from fhejax.approx.polynomials.polynomial import Polynomial

REACH = 13.0
POINTS = 1 << 15


def hermite_coefficients(
    function: str | Function, degree: int, *, mean: float = 0.0, deviation: float = 1.0
) -> np.ndarray:
    """The expectations E[f(mean + deviation z) h_n(z)] for n = 0 .. degree and z standard normal.

    h_n = He_n / sqrt(n!) are the orthonormal Hermite polynomials in which AESPA (Park et al., 2022)
    expands and normalises activations. By the trapezoidal rule with a kink at z = 0 on a node; exact
    to 1e-7 for ReLU, to rounding for smooth functions.

    Args:
        function: a name, or an elementwise JAX function, finite within 13 deviations of the mean.
        degree: an integer from 0 to 1,023.
        mean: that of the function's argument.
        deviation: its standard deviation.

    Returns:
        NumPy float64 of shape (degree + 1,).

    Raises:
        TypeError: as `chebyshev`; a mean or deviation that is no real number.
        ValueError: as `chebyshev`, but for values above 1e30; a deviation that is not positive.
    """
    degree, deviation = check_degree(degree), check_positive(deviation, "deviation")
    mean = check_real(mean, "mean")
    z = np.linspace(-REACH, REACH, POINTS + 1)
    check_function(
        function, (check_interval((mean + deviation * z[0], mean + deviation * z[-1])),), bounded=False
    )
    density = np.exp(-(z**2) / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)
    samples = values(function, mean + deviation * z) * density
    return np.array([polynomial @ samples for polynomial in _orthonormal(z, degree)])


def hermite(
    function: str | Function,
    degree: int,
    interval: Interval,
    *,
    mean: float = 0.0,
    deviation: float = 1.0,
) -> Polynomial:
    """The best polynomial in mean square when x is normal: the Hermite expansion cut at a degree.

    Valid on the whole line.

    Args:
        function: a name, or an elementwise JAX function, finite within 13 deviations of the mean.
        degree: an integer from 0 to 1,023.
        interval: the pair (a, b) on which the polynomial is evaluated and certified.
        mean: that of x.
        deviation: its standard deviation.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `hermite_coefficients`.
        ValueError: as `hermite_coefficients`; an expansion that overflows on the interval.
    """
    interval = check_interval(interval)
    check_function(function, (interval,))
    expansion = hermite_coefficients(function, degree, mean=mean, deviation=deviation)

    def at_unit(nodes: np.ndarray) -> np.ndarray:
        z = (from_unit(nodes, interval) - mean) / deviation
        terms = zip(expansion, _orthonormal(z, len(expansion) - 1), strict=True)
        with np.errstate(over="ignore", invalid="ignore"):
            return sum((coefficient * polynomial for coefficient, polynomial in terms), np.zeros_like(z))

    # Interpolation of a polynomial of this degree gives itself, without powers of x, which cancel.
    coefficients = interpolated(at_unit, len(expansion) - 1)
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(
            f"the Hermite expansion of {name_of(function)} to degree {degree} overflows on {interval}, "
            f"which reaches far beyond the deviation {deviation:g} about {mean:g}; narrow the interval or "
            "lower the degree."
        )
    return certified(Polynomial.from_chebyshev(coefficients, interval), function)


def _orthonormal(z: np.ndarray, degree: int) -> Iterator[np.ndarray]:
    """The polynomials h_0 .. h_degree at z, by sqrt(n + 1) h_{n+1} = z h_n - sqrt(n) h_{n-1}."""
    before, current = np.zeros_like(z), np.ones_like(z)
    for n in range(degree + 1):
        yield current
        before, current = current, (z * current - math.sqrt(n) * before) / math.sqrt(n + 1)
