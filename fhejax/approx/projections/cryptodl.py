"""The fits of CryptoDL (Hesamifard, Takabi and Ghasemi, 2017): modified measure, and derivative."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.polynomial import chebyshev

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, check_real_array
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, derivative_of, values
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import midpoint_and_scale, without_rounding_noise
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.projections.least_squares import fejer, least_squares, weighted_rows

QUADRATURE_POINTS = 2048


def modified_measure(x: jax.Array) -> jax.Array:
    """The density of CryptoDL, exp(-1 / (1e-5 + x^2)), which leaves out the neighbourhood of a kink at 0.

    Args:
        x: real numbers of any shape; integers become floats, and floats keep their dtype.

    Raises:
        TypeError: x is not real.
    """
    x = check_real_array(x, "argument of a density")
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
    return jnp.exp(-1 / (1e-5 + x * x))


def modified_chebyshev(function: str | Function, degree: int, interval: Interval) -> Polynomial:
    """The least-squares fit under `modified_measure`, CryptoDL's fourth method.

    Args:
        function: a name, or an elementwise JAX function.
        degree: an integer from 0 to 1,023.
        interval: a pair (a, b).

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `least_squares`.
        ValueError: as `least_squares`.
    """
    return least_squares(function, degree, interval, weight=modified_measure)


def antiderivative(
    function: str | Function,
    degree: int,
    interval: Interval,
    *,
    weight: str | Function | None = modified_measure,
) -> Polynomial:
    """The antiderivative of a least-squares fit of the derivative: CryptoDL's own method.

    The constant of integration makes the weighted mean of the error zero. The gradient of the result
    is right on average, which is why networks train with it; `c1` bounds value and gradient
    everywhere.

    Args:
        function: a name, or an elementwise JAX function.
        degree: an integer from 1 to 1,023; the derivative is fitted with one less.
        interval: a pair (a, b).
        weight: the density of the mean; None for the uniform one.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `least_squares`.
        ValueError: as `least_squares`; degree 0, which has no derivative to fit.
    """
    degree, interval = check_degree(degree), check_interval(interval)
    if degree == 0:
        raise ValueError(
            "a fit of the derivative needs a degree of at least 1, but 0 was given; pass for example 3."
        )

    check_function(function, (interval,))
    rows, right = weighted_rows(derivative_of(function), degree - 1, interval, weight)
    slope = np.linalg.lstsq(rows, right, rcond=None)[0]
    midpoint, scale = midpoint_and_scale(interval)
    coefficients = chebyshev.chebint(without_rounding_noise(slope), scl=1 / scale)
    nodes, masses = fejer(QUADRATURE_POINTS)
    points = midpoint + nodes / scale
    masses = masses if weight is None else masses * values(weight, points)
    errors = values(function, points) - chebyshev.chebval(nodes, coefficients)
    coefficients[0] += np.sum(masses * errors) / np.sum(masses)
    return certified(Polynomial.from_chebyshev(coefficients, interval), function)
