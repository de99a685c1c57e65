"""Polynomial activations: what an encrypted network can compute."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax import approx


class FixedCoefficients(nnx.Variable):
    """Coefficients that no optimiser updates."""


class Square(nnx.Module):
    """The square, CryptoNets' activation (Gilad-Bachrach et al., ICML 2016): one level of depth."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Return `x * x`, elementwise, any shape and dtype."""
        return x * x


class PolynomialActivation(nnx.Module):
    """A polynomial in Chebyshev form, shared by all channels or one for each.

    It starts as the interpolant of `function` (a name that `approx` knows, or a callable) at the
    Chebyshev points of `interval`, or from given `coefficients` of shape `(degree + 1,)` or
    `(features, degree + 1)`, lowest degree first. With `features` every channel (the last axis of
    the input) has its own copy. `trainable=False` keeps them out of the optimiser. Beyond
    `interval` a polynomial grows: normalise its input.

    Raises:
        ValueError: for an empty interval, a degree below 1, or coefficients of another shape.
    """

    def __init__(
        self,
        degree: int = 2,
        *,
        function: str | Callable[[Any], Any] = "relu",
        coefficients: Sequence[float] | np.ndarray | jax.Array | None = None,
        features: int | None = None,
        interval: tuple[float, float] = (-4.0, 4.0),
        trainable: bool = True,
    ) -> None:
        if degree < 1:
            raise ValueError(f"An activation needs a degree of at least 1, not {degree}.")
        fitted = approx.chebyshev(function, degree, interval)
        chosen = fitted.coefficients if coefficients is None else coefficients
        values = _for_channels(np.asarray(chosen, np.float32), degree, features)
        kind = nnx.Param if trainable else FixedCoefficients
        self.coefficients = kind(jnp.asarray(values))
        self.interval = fitted.interval

    def __call__(self, x: jax.Array) -> jax.Array:
        """Evaluate the polynomial elementwise; with `features`, channels are the last axis."""
        return approx.Polynomial(self.coefficients[...], self.interval)(x)


def _for_channels(coefficients: np.ndarray, degree: int, features: int | None) -> np.ndarray:
    shape = (degree + 1,) if features is None else (features, degree + 1)
    if coefficients.shape not in {(degree + 1,), shape}:
        raise ValueError(
            f"An activation of degree {degree} with features={features} needs coefficients of "
            f"shape {shape}, not {coefficients.shape}."
        )
    return np.broadcast_to(coefficients, shape)
