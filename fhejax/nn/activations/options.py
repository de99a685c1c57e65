"""The options of a polynomial activation: methods of fitting, scalings, coefficients, noise."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax import approx
from fhejax.approx.checks import check_degree
from fhejax.approx.functions import Function

Fit = Callable[[Any, int, tuple[float, float]], approx.Polynomial]
Scaling = Literal["fixed", "trained", "dynamic"]
Variance = Callable[[jax.Array], jax.Array]

METHODS: Mapping[str, Fit] = MappingProxyType(
    {
        "antiderivative": approx.antiderivative,
        "c1": approx.c1,
        "chebyshev": approx.chebyshev,
        "hermite": approx.hermite,
        "least_squares": approx.least_squares,
        "minimax": approx.minimax,
        "modified_chebyshev": approx.modified_chebyshev,
        "taylor": approx.taylor,
    }
)
# f(s x) = s f(x) for every s > 0.
HOMOGENEOUS = ("abs", "identity", "leaky_relu", "relu")


def check_activation_degree(degree: Any) -> int:
    """The degree of an activation as an int.

    Raises:
        TypeError: no integer.
        ValueError: a degree below 1.
    """
    degree = check_degree(degree)
    if degree < 1:
        raise ValueError(f"an activation needs a degree of at least 1, not {degree}.")
    return degree


def check_scaling(scaling: Any) -> Scaling:
    """The scaling itself, if it is "fixed", "trained" or "dynamic".

    Raises:
        ValueError: anything else.
    """
    if scaling not in get_args(Scaling):
        raise ValueError(
            f"there is no scaling {scaling!r} of an activation's range; the scalings are "
            f"{', '.join(get_args(Scaling))}."
        )
    return scaling


def fitted(
    method: str | Fit, function: str | Function | None, degree: int, interval: tuple[float, float]
) -> approx.Polynomial:
    """The polynomial of a method of fitting.

    Args:
        method: a key of `METHODS`, or a callable of (function, degree, interval).
        function: a name, or an elementwise JAX function.
        degree: that of the polynomial.
        interval: a pair (a, b).

    Raises:
        ValueError: an unknown name.
        TypeError: a method that returns no `approx.Polynomial`.
    """
    if not callable(method) and method not in METHODS:
        raise ValueError(
            f"there is no method {method!r} of fitting an activation; the methods are "
            f"{', '.join(sorted(METHODS))}, or pass a callable of (function, degree, interval)."
        )
    fit = method if callable(method) else METHODS[method]
    polynomial = fit(function, degree, interval)
    if not isinstance(polynomial, approx.Polynomial):
        raise TypeError(
            "an activation is a single approx.Polynomial, but the method returned "
            f"{type(polynomial).__name__}; use a method that fits one polynomial."
        )
    return polynomial


def for_channels(coefficients: Any, degree: int, features: int | None) -> np.ndarray:
    """The coefficients as finite float32, (degree + 1,) or (features, degree + 1), from either shape.

    Raises:
        ValueError: another shape, or coefficients that are not finite in float32.
    """
    shape = (degree + 1,) if features is None else (features, degree + 1)
    with np.errstate(over="ignore"):
        coefficients = np.asarray(coefficients, np.float32)
    if coefficients.shape not in {(degree + 1,), shape}:
        raise ValueError(
            f"an activation of degree {degree} with features={features} needs coefficients of "
            f"shape {shape}, not {coefficients.shape}."
        )
    if not np.all(np.isfinite(coefficients)):
        raise ValueError(
            "an activation needs coefficients that are finite in float32, but some of those given are "
            "NaN or infinite; look at the fit or the training step that made them."
        )
    return np.broadcast_to(coefficients, shape)


def noise_stream(noise: Variance | None, rngs: nnx.Rngs | nnx.RngStream | None) -> nnx.RngStream | None:
    """The random stream that noise is drawn from; None without noise.

    Raises:
        ValueError: noise without a stream.
    """
    if noise is None:
        return None
    if isinstance(rngs, nnx.RngStream):
        return rngs.fork()
    if not isinstance(rngs, nnx.Rngs):
        raise ValueError(
            f"an activation with noise draws it from a stream of random numbers, but rngs={rngs!r} was "
            "given; pass rngs=nnx.Rngs(0), or nnx.Rngs(noise=0)."
        )
    return rngs["noise"].fork()


def noise_deviation(noise: Variance, coefficients: jax.Array) -> jax.Array:
    """The standard deviation of the noise for each polynomial: a scalar, or (features,).

    Args:
        noise: the variance for coefficients (degree + 1,) in JAX's default floating dtype.
        coefficients: (degree + 1,) or (features, degree + 1).

    Raises:
        ValueError: a variance that is no scalar.
    """
    variance = noise if coefficients.ndim == 1 else jax.vmap(noise)
    value = jnp.asarray(variance(coefficients.astype(jnp.result_type(float))))
    if value.shape != coefficients.shape[:-1]:
        raise ValueError(
            "the variance of the noise is a scalar for each polynomial, but the function given returned "
            f"shape {value.shape} for coefficients {coefficients.shape}."
        )
    # The root's derivative at 0 is infinite.
    return jnp.sqrt(jnp.maximum(value, jnp.finfo(value.dtype).tiny))
