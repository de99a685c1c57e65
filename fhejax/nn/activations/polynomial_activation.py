"""Polynomial activations: what an encrypted network can compute."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax import approx
from fhejax.approx.checks import is_traced
from fhejax.approx.errors.measurement import certified
from fhejax.approx.functions import Function, resolve
from fhejax.nn.activations.options import (
    HOMOGENEOUS,
    Fit,
    Scaling,
    Variance,
    check_activation_degree,
    check_scaling,
    fitted,
    for_channels,
    noise_deviation,
    noise_stream,
)

# Of the running maximum at each step: what was seen some hundred steps ago no longer counts.
MOMENTUM = 0.99


class FixedCoefficients(nnx.Variable):
    """Coefficients that no optimiser updates."""


class Coefficients(nnx.Param):
    """Parameters that shape an activation, coefficients and range, which may be trained on their own."""


class RunningMaximum(nnx.BatchStat):
    """The largest magnitude of an activation's input over the last training batches."""


class Activation(nnx.Module):
    """An elementwise function between affine layers.

    `nnx.view` sets its mode: `use_running_average` as for batch normalisation, and `recording`, with
    which its inputs are kept in `inputs` (see `preactivations`).
    """

    use_running_average = False
    recording = False

    def set_view(self, use_running_average: bool | None = None, recording: bool | None = None) -> None:
        """Set the mode, for `nnx.view`; None leaves it as it is."""
        if use_running_average is not None:
            self.use_running_average = use_running_average
        if recording is not None:
            self.recording = recording

    def _observe(self, x: jax.Array) -> None:
        if self.recording:
            seen = self.inputs.get_value() if hasattr(self, "inputs") else ()
            self.inputs = nnx.Intermediate((*seen, x))


class Square(Activation):
    """The square, CryptoNets' activation (Gilad-Bachrach et al., ICML 2016): one level of depth."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """The square `x * x`, elementwise, any shape and dtype."""
        self._observe(x)
        return x * x


class ExactActivation(Activation):
    """A function itself, by a name that `approx` knows or a callable: for teachers, not for encryption.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(self, function: str | Function = "relu") -> None:
        self.function = function
        resolve(function)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The function of `x`, elementwise."""
        self._observe(x)
        return resolve(self.function)(x)


class PolynomialActivation(Activation):
    """A polynomial in Chebyshev form, shared by all channels or one for each.

    Beyond its interval a polynomial grows: normalise its input, or let the interval follow it by `scaling`.
    `fold_activations` makes the interval static.

    Args:
        degree: that of the polynomial, at least 1.
        function: what the polynomial starts as a fit of, a name that `approx` knows or a callable.
        method: "chebyshev" (interpolation), "minimax", "c1", "least_squares" or another fit of `approx`, or
            a callable of (function, degree, interval).
        coefficients: what it starts from instead, (degree + 1,) or (features, degree + 1), lowest degree
            first.
        features: the number of channels, the last axis of the input, each with a copy of its own.
        interval: a pair (a, b).
        trainable: False keeps the coefficients out of the optimiser.
        scaling: with "fixed" the value is p(x). Otherwise it is p(x / s), and the interval is s times the
            given one. With "trained", s is a positive parameter that starts at 1; with "dynamic", the
            largest |x| of each training batch is mapped to the end of the interval, and a running maximum is
            used at inference (SmartPAF, arXiv 2404.03216). Where `function` is named and positively
            homogeneous (relu, leaky_relu, abs, identity), the value is s p(x / s), which approximates it for
            every s.
        noise: maps Chebyshev coefficients (degree + 1,) to the variance with which they are evaluated, as in
            `approx.noise_aware`: Gaussian noise of this variance is added in training mode, never at
            inference.
        rngs: random streams, of which "noise" gives that noise.

    Raises:
        ValueError: a bad interval, degree, method or scaling, coefficients of another shape or not finite,
            noise without a stream.
        TypeError: a degree or method of another type.
    """

    def __init__(
        self,
        degree: int = 2,
        *,
        function: str | Function | None = "relu",
        method: str | Fit = "chebyshev",
        coefficients: Sequence[float] | np.ndarray | jax.Array | None = None,
        features: int | None = None,
        interval: tuple[float, float] = (-4.0, 4.0),
        trainable: bool = True,
        scaling: Scaling = "fixed",
        noise: Variance | None = None,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> None:
        degree = check_activation_degree(degree)
        if coefficients is None:
            coefficients = fitted(method, function, degree, interval).coefficients
        values = for_channels(coefficients, degree, features)
        kind = Coefficients if trainable else FixedCoefficients
        self.coefficients = kind(jnp.asarray(values))
        self.unscaled_interval = approx.Polynomial.from_chebyshev(values, interval).interval
        self.function, self.features, self.trainable = function, features, trainable
        self.scaling = check_scaling(scaling)
        if scaling == "trained":
            self.log_scale = Coefficients(jnp.zeros((), jnp.float32))
        if scaling == "dynamic":
            self.largest = RunningMaximum(jnp.asarray(self._reach, jnp.float32))
        self.noise = noise
        self.stream = nnx.data(noise_stream(noise, rngs))

    @classmethod
    def from_polynomial(
        cls, polynomial: approx.Polynomial, *, function: str | Function | None = None, **options: Any
    ) -> "PolynomialActivation":
        """The activation that computes a fitted polynomial, on its interval and for its channels.

        Args:
            polynomial: one, or a family with one axis of channels.
            function: what it approximates, for certificates.
            **options: those of the constructor.

        Raises:
            ValueError: as the constructor; a family with two channel axes or more.
        """
        if len(polynomial.channels) > 1:
            raise ValueError(
                "an activation has one axis of channels, but the polynomials given have the shape "
                f"{polynomial.channels}; pass one polynomial or one for each channel."
            )
        features = polynomial.channels[0] if polynomial.channels else None
        return cls(
            polynomial.degree,
            function=function,
            coefficients=polynomial.coefficients,
            interval=polynomial.interval,
            **{"features": features, **options},
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """The polynomial of x, elementwise, in its shape; with `features`, channels are the last axis."""
        x = jnp.asarray(x)
        self._observe(x)
        coefficients = self.coefficients[...]
        if self.scaling == "fixed":
            value = approx.Polynomial(coefficients, self.unscaled_interval)(x)
            return self._with_noise(value, coefficients)
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.result_type(float))
        scale = self._observed_scale(x).astype(x.dtype)
        value = approx.Polynomial(coefficients, self.unscaled_interval)(x / scale)
        if not self._homogeneous:
            return self._with_noise(value, coefficients)
        return self._with_noise(value * scale, coefficients * scale.astype(coefficients.dtype))

    def range_scale(self) -> jax.Array:
        """The factor s of the range at inference, a float32 scalar; differentiable where it is trained."""
        if self.scaling == "trained":
            return jnp.exp(self.log_scale[...])
        if self.scaling == "dynamic":
            return self.largest[...] / self._reach
        return jnp.ones((), jnp.float32)

    @property
    def interval(self) -> tuple[float, float]:
        """The interval for inputs at inference, two floats.

        Raises:
            TypeError: a range that is traced.
        """
        scale = self.range_scale()
        if is_traced(scale):
            raise TypeError(
                "the interval of an activation is read on the host, but its range is traced by a JAX "
                "transformation; read it outside, or use range_scale()."
            )
        start, stop = self.unscaled_interval
        return start * float(scale), stop * float(scale)

    @property
    def polynomial(self) -> approx.Polynomial:
        """The polynomial of inference, with float64 NumPy coefficients on its `interval`."""
        interval = self.interval
        factor = float(self.range_scale()) if self._homogeneous else 1.0
        return approx.Polynomial.from_chebyshev(
            factor * np.asarray(self.coefficients[...], np.float64), interval
        )

    @property
    def certificate(self) -> approx.Certificate | tuple[approx.Certificate, ...] | None:
        """The distance of the present polynomial from `function` on the interval; None without function.

        One certificate, or one for each of the `features`.
        """
        if self.function is None:
            return None
        polynomial = self.polynomial
        if not polynomial.channels:
            return certified(polynomial, self.function).certificate
        rows = (approx.Polynomial(row, polynomial.interval) for row in polynomial.coefficients)
        return tuple(certified(row, self.function).certificate for row in rows)

    def folded(self) -> "PolynomialActivation":
        """The same function of inference, up to rounding, with a fixed interval and without noise."""
        options = {"features": self.features, "trainable": self.trainable}
        return type(self).from_polynomial(self.polynomial, function=self.function, **options)

    @property
    def _reach(self) -> float:
        return max(map(abs, self.unscaled_interval))

    @property
    def _homogeneous(self) -> bool:
        return self.scaling != "fixed" and self.function in HOMOGENEOUS

    def _observed_scale(self, x: jax.Array) -> jax.Array:
        if self.scaling != "dynamic" or self.use_running_average:
            return self.range_scale()
        largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x))).astype(jnp.float32)
        # A batch of zeros has no scale of its own.
        largest = jnp.maximum(largest, jnp.finfo(jnp.float32).eps)
        self.largest[...] = jnp.maximum(MOMENTUM * self.largest[...], largest)
        return largest / self._reach

    def _with_noise(self, value: jax.Array, coefficients: jax.Array) -> jax.Array:
        if self.noise is None or self.use_running_average:
            return value
        assert self.stream is not None  # `noise_stream` gives one wherever there is noise
        deviation = noise_deviation(self.noise, coefficients).astype(value.dtype)
        if deviation.ndim:
            deviation = jnp.broadcast_to(
                jnp.expand_dims(deviation, tuple(range(value.ndim - 1))), value.shape
            )
        return value + deviation * jax.random.normal(self.stream(), value.shape, value.dtype)
