"""AESPA's activation: Hermite polynomials, each normalised on its own, and its fold to one polynomial."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.polynomial import hermite_e

from fhejax import approx
from fhejax.approx.checks import check_count
from fhejax.approx.functions import Function
from fhejax.approx.intervals import check_interval
from fhejax.nn.activations.options import check_activation_degree
from fhejax.nn.activations.polynomial_activation import Activation, PolynomialActivation


class HermiteActivation(Activation):
    """A trainable polynomial for each channel (AESPA, Park et al., arXiv 2201.06699).

    scale sum_n f_n N_n(h_n(x)) + shift, for n = 1 .. degree: h_n = He_n / sqrt(n!) are the orthonormal
    Hermite polynomials, f_n the Hermite coefficients of `function`, N_n batch normalisation without
    parameters of its own in each channel (the last axis), scale 1 and shift 0 at first and trained.
    The term of degree 0 is a constant, which its normalisation turns to 0. It takes the place of batch
    normalisation and activation together. `interval` is where its inputs are to lie, for
    `range_penalty` and for the polynomial that `fold_activations` makes of it.

    Raises:
        ValueError: for fewer than 1 feature or degree, an empty interval, an unknown function.
        TypeError: for a degree or number of features that is no integer.
    """

    def __init__(
        self,
        features: int,
        *,
        degree: int = 2,
        function: str | Function = "relu",
        interval: tuple[float, float] = (-4.0, 4.0),
        momentum: float = 0.9,
        epsilon: float = 1e-5,
    ) -> None:
        self.features = check_count(features, "number of features")
        if self.features < 1:
            raise ValueError(f"a Hermite activation needs 1 feature or more, not {features}.")
        self.degree = check_activation_degree(degree)
        self.unscaled_interval = check_interval(interval)
        self.function = function
        expansion = approx.hermite_coefficients(function, self.degree)[1:]
        self.expansion = tuple(float(coefficient) for coefficient in expansion)
        # One normalisation of all basis polynomials of all channels: (channels * degree,).
        self.normalisation = nnx.BatchNorm(
            self.features * self.degree,
            momentum=momentum,
            epsilon=epsilon,
            use_scale=False,
            use_bias=False,
            rngs=nnx.Rngs(0),
        )
        self.scale = nnx.Param(jnp.ones(self.features, jnp.float32))
        self.shift = nnx.Param(jnp.zeros(self.features, jnp.float32))

    def __call__(self, x: jax.Array) -> jax.Array:
        """The activation of (batch, ..., features), in the same shape and dtype, floating.

        Raises:
            ValueError: another number of channels.
        """
        x = jnp.asarray(x)
        if x.ndim < 2 or x.shape[-1] != self.features:
            raise ValueError(
                f"a Hermite activation of {self.features} features needs an input of shape (batch, ..., "
                f"{self.features}), but found {x.shape}; put the channels last."
            )
        self._observe(x)
        basis = jnp.concatenate(_orthonormal_hermite(x, self.degree), axis=-1)
        normal = jnp.split(self.normalisation(basis), self.degree, axis=-1)
        terms = (coefficient * term for coefficient, term in zip(self.expansion, normal, strict=True))
        value = jnp.asarray(sum(terms))  # an array already, but `sum` of nothing would be the integer 0
        leading = tuple(range(x.ndim - 1))
        scale = jnp.expand_dims(self.scale[...], leading).astype(x.dtype)
        shift = jnp.expand_dims(self.shift[...], leading).astype(x.dtype)
        return scale * value.astype(x.dtype) + shift

    @property
    def interval(self) -> tuple[float, float]:
        """The interval for inputs, two floats."""
        return self.unscaled_interval

    def range_scale(self) -> jax.Array:
        """The factor 1: the interval is not scaled."""
        return jnp.ones((), jnp.float32)

    def with_moments_of(self, x: jax.Array) -> "HermiteActivation":
        """A copy that normalises by the moments of its inputs (values, features), not by those of batches.

        Raises:
            ValueError: no values.
        """
        if not len(x):
            raise ValueError("moments of no values were asked for; give inputs of some images.")
        basis = np.concatenate(_orthonormal_hermite(jnp.asarray(x), self.degree), axis=-1)
        copy = nnx.clone(self)
        copy.normalisation.mean[...] = jnp.asarray(basis.mean(0, np.float64), jnp.float32)
        copy.normalisation.var[...] = jnp.asarray(basis.var(0, np.float64), jnp.float32)
        return copy

    def folded(self) -> PolynomialActivation:
        """The same function of inference, up to rounding of float32: a polynomial for each channel.

        Computed in float64 on the host; trainable, on `interval`.

        Raises:
            ValueError: a statistic or parameter that is not finite.
        """
        norm = self.normalisation
        mean, variance, scale, shift = (
            np.asarray(variable[...], np.float64)
            for variable in (norm.mean, norm.var, self.scale, self.shift)
        )
        factors = (np.asarray(self.expansion)[:, None] * scale[None]).ravel()
        factors = factors / np.sqrt(variance + norm.epsilon)
        by_degree = factors.reshape(self.degree, self.features).T
        constant = shift - np.sum((factors * mean).reshape(self.degree, self.features), axis=0)
        expansion = np.concatenate([constant[:, None], by_degree], axis=1)
        monomials = expansion @ _hermite_to_monomials(self.degree)
        polynomial = approx.Polynomial.from_monomial(monomials, self.interval)
        return PolynomialActivation.from_polynomial(polynomial, function=None)


def _orthonormal_hermite(x: jax.Array, degree: int) -> list[jax.Array]:
    """The polynomials h_1(x) .. h_degree(x), by sqrt(n + 1) h_(n+1) = x h_n - sqrt(n) h_(n-1)."""
    before, basis = jnp.ones_like(x), [x]
    for n in range(1, degree):
        after = (x * basis[-1] - math.sqrt(n) * before) / math.sqrt(n + 1)
        before = basis[-1]
        basis.append(after)
    return basis


def _hermite_to_monomials(degree: int) -> np.ndarray:
    """The matrix (degree + 1, degree + 1) whose row n holds the powers of x in h_n."""
    rows = []
    for n in range(degree + 1):
        powers: Any = hermite_e.herme2poly(np.eye(degree + 1)[n])[: n + 1]
        rows.append(np.pad(powers, (0, degree - n)) / math.sqrt(math.factorial(n)))
    return np.stack(rows)
