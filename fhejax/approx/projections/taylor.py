"""Taylor polynomials, from the Chebyshev series on a neighbourhood."""

import numpy as np
from numpy.polynomial import chebyshev

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_real
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, name_of
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import midpoint_and_scale
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.target import chebyshev_series

HALVINGS = 40
EXTRA_TERMS = 64


def taylor(
    function: str | Function, degree: int, interval: Interval, *, center: float | None = None
) -> Polynomial:
    """The Taylor polynomial about a point of the interval.

    Exact to this order at the center, and far off at the ends: for comparison with the other fits.
    The derivatives come from the Chebyshev series of the function on the largest neighbourhood of the
    center, inside of the interval, where it has few terms: no symbolic or nested differentiation.
    The values there are right to rounding, high coefficients to fewer digits.

    Args:
        function: a name, or an elementwise JAX function.
        degree: an integer from 0 to 1,023.
        interval: a pair (a, b).
        center: a point inside of it, by default its middle.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `chebyshev`; a center that is no real number.
        ValueError: as `chebyshev`; a center outside, or a function that is not analytic there, as ReLU at 0.
    """
    degree, interval = check_degree(degree), check_interval(interval)
    center = sum(interval) / 2 if center is None else check_real(center, "center")
    if not interval[0] < center < interval[1]:
        raise ValueError(
            f"the center of a Taylor polynomial lies inside of its interval {interval}, but {center} was "
            "given; move the center or widen the interval."
        )
    check_function(function, (interval,))
    powers, radius = _powers(function, degree, interval, center)
    midpoint, scale = midpoint_and_scale(interval)
    step = np.array([(midpoint - center) / radius, 1 / (scale * radius)])
    coefficients = np.zeros(1)
    for power in powers[::-1]:
        coefficients = chebyshev.chebadd(chebyshev.chebmul(coefficients, step), [power])
    padded = np.pad(coefficients, (0, max(0, degree + 1 - len(coefficients))))[: degree + 1]
    return certified(Polynomial.from_chebyshev(padded, interval), function)


def _powers(
    function: str | Function, degree: int, interval: Interval, center: float
) -> tuple[np.ndarray, float]:
    """Taylor coefficients (degree + 1,) in (x - center) / radius, and that radius."""
    radius = min(center - interval[0], interval[1] - center)
    for _ in range(HALVINGS):
        series = chebyshev_series(function, (center - radius, center + radius))
        if series is not None and len(series.coefficients) <= EXTRA_TERMS + 2 * degree:
            powers = chebyshev.cheb2poly(series.coefficients)[: degree + 1]
            return np.pad(powers, (0, degree + 1 - len(powers))), radius
        radius /= 2
    raise ValueError(
        f"the function {name_of(function)} has no Taylor series at {center:g}: it is not smooth there; "
        "give another center, or use minimax."
    )
