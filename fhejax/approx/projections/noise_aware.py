"""Noise-aware fits, which count the noise of their own evaluation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fhejax.approx.boundedness import check_function
from fhejax.approx.checks import check_degree, shown
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, first_line
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.projections.least_squares import weighted_rows

NEWTON_STEPS = 50


def noise_aware(
    function: str | Function,
    degree: int,
    interval: Interval,
    variance: Callable[[jax.Array], jax.Array],
    *,
    weight: str | Function | None = None,
    samples: ArrayLike | None = None,
) -> Polynomial:
    """The polynomial with the smallest mean square error, the noise of evaluating it included.

    Args:
        function: a name, or an elementwise JAX function.
        degree: an integer from 0 to 1,023.
        interval: a pair (a, b).
        variance: maps Chebyshev coefficients (degree + 1,), float64, to the variance of the noise with
            which they are evaluated, a scalar: whoever evaluates knows it, this package knows no
            cryptography. A convex JAX function, such as sum(c^2 v) for basis polynomials with noise
            variances v; that one is solved exactly by one Newton step, others by a few.
        weight: the density of the mean, as for `least_squares`.
        samples: observed values of x, as for `least_squares`.

    Returns:
        A `Polynomial` with NumPy float64 coefficients (degree + 1,) and a certificate.

    Raises:
        TypeError: as `least_squares`; a variance that is no function, or that JAX cannot differentiate twice.
        ValueError: as `least_squares`; a variance that is no finite scalar, or under which Newton's method
            does not converge.
    """
    degree, interval = check_degree(degree), check_interval(interval)
    if not callable(variance):
        raise TypeError(
            f"the variance of the noise is a function of the coefficients, but {shown(variance)} of type "
            f"{type(variance).__name__} was given; pass a JAX function."
        )
    check_function(function, (interval,))
    rows, right = weighted_rows(function, degree, interval, weight, samples)
    coefficients = np.linalg.lstsq(rows, right, rcond=None)[0]
    for _ in range(NEWTON_STEPS):
        gradient, curvature = _derivatives(variance, coefficients)
        gradient += 2 * rows.T @ (rows @ coefficients - right)
        step = np.linalg.solve(curvature + 2 * rows.T @ rows, gradient)
        coefficients = coefficients - step
        convex = np.min(np.linalg.eigvalsh(curvature + 2 * rows.T @ rows)) > 0
        if convex and np.max(np.abs(step)) <= 1e-12 * (1 + np.max(np.abs(coefficients))):
            return certified(Polynomial.from_chebyshev(coefficients, interval), function)
    raise ValueError(
        f"the variance given did not lead to a minimum within {NEWTON_STEPS} Newton steps; pass a convex "
        "function of the coefficients, with two derivatives."
    )


def _derivatives(variance: Callable[[jax.Array], jax.Array], coefficients: np.ndarray) -> tuple[Any, Any]:
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        point = jnp.asarray(coefficients)
        try:
            value = np.asarray(variance(point))
            # Gradients of what is no scalar would be refused by JAX.
            gradient, curvature = np.empty(0), np.empty(0)
            if value.shape == ():
                gradient, curvature = jax.grad(variance)(point), jax.hessian(variance)(point)
        except Exception as error:
            # Whatever a user's function raises: the sentence says whose fault it is.
            raise TypeError(
                f"the variance of the noise could not be differentiated twice at {len(coefficients)} float64 "
                f"coefficients ({type(error).__name__}: {first_line(error)}); pass a JAX function of them "
                "that returns a scalar."
            ) from error
    if value.shape != () or not np.isfinite(value):
        raise ValueError(
            "the variance of the noise is a finite scalar for each polynomial, but the function given "
            f"returned {shown(value)} for {len(coefficients)} coefficients; look at what it computes."
        )
    return np.array(gradient), np.array(curvature)
