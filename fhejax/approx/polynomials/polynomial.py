"""A polynomial on an interval: coefficients in the Chebyshev basis, and how to apply them."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fhejax.approx.checks import check_array, check_degree, coefficients_on_host, is_traced, shown
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.basis import chebyshev_to_monomials, monomials_to_chebyshev
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.primitive import bind_polynomial, check_operands, differentiate


def depth_of_degree(degree: int) -> int:
    """The multiplications in sequence that a polynomial of this degree needs: ceil(log2(degree + 1)).

    Depth L evaluates every degree up to 2^L - 1.

    Raises:
        TypeError: no integer.
        ValueError: a negative one.
    """
    return check_degree(degree, largest=None).bit_length()


def multiplications_of_degree(degree: int) -> int:
    """The products of two ciphertexts that a polynomial of this degree needs, at depth `depth_of_degree`.

    Baby steps T_2 .. T_k for a power of two k, giant steps T_2k, T_4k .., and one product for each
    giant step's use (Paterson and Stockmeyer, SIAM J. Comput. 2, 1973); the best k.

    Raises:
        TypeError: no integer.
        ValueError: a negative one.
    """
    degree = check_degree(degree, largest=None)
    if degree < 2:
        return degree
    steps = [1 << exponent for exponent in range(1, degree.bit_length())]
    return min(k - 1 + (degree // k).bit_length() - 1 + (degree - 1) // k for k in steps)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["coefficients"],
    meta_fields=["interval"],
    drop_fields=["certificate"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Polynomial:
    """A polynomial sum_k coefficients[..., k] T_k((2x - a - b) / (b - a)) on the interval (a, b).

    Outside of the interval the value is right, but far from any function that was approximated on it.
    JAX builds instances out of its own placeholders, so this constructor checks nothing: use
    `from_chebyshev`, `from_monomial` or a fit.

    Attributes:
        coefficients: an array of shape (*channels, degree + 1): (d + 1,) is one polynomial for every entry
            of x, (C, d + 1) one for each of C channels on the last axis of x. It is the only leaf of this
            pytree, so jax.grad, jax.vmap and optax train polynomials like any other parameters.
        interval: (a, b), two static floats.
        certificate: what a fit is worth. It belongs to these very coefficients and is no part of the pytree,
            so that what a transformation or an optimiser makes of the polynomial has none. Inside jit or
            vmap read it before the polynomial is returned.
    """

    coefficients: Any
    interval: Interval
    certificate: Certificate | None = None

    @classmethod
    def from_chebyshev(cls, coefficients: ArrayLike, interval: Interval) -> "Polynomial":
        """A polynomial from Chebyshev coefficients.

        Args:
            coefficients: (*channels, degree + 1). A JAX array keeps its dtype and may be traced; everything
                else becomes NumPy float64.
            interval: a pair (a, b).

        Raises:
            TypeError: coefficients that are no real numbers, or an interval that is no pair of them.
            ValueError: no coefficients, one that is not finite, or an empty interval.
        """
        return cls(_check_coefficients(coefficients), check_interval(interval))

    @classmethod
    def from_monomial(cls, coefficients: ArrayLike, interval: Interval) -> "Polynomial":
        """A polynomial from the coefficients of 1, x, x^2, .. on the last axis, in NumPy float64.

        Powers are nearly dependent on an interval: each degree loses about one bit, more where the
        interval lies off the origin.

        Args:
            coefficients: (*channels, degree + 1), not traced.
            interval: a pair (a, b).

        Raises:
            TypeError: as `from_chebyshev`; traced coefficients.
            ValueError: as `from_chebyshev`.
        """
        host = coefficients_on_host(_check_coefficients(coefficients), "converted from powers of x")
        interval = check_interval(interval)
        matrix = monomials_to_chebyshev(host.shape[-1] - 1, interval)
        return cls.from_chebyshev(host @ matrix.T, interval)

    def __call__(self, x: ArrayLike) -> jax.Array:
        """The value at every entry of x, in x's shape and dtype.

        float32 and float64 are computed in themselves, half precision in float32, integers become floats.

        Args:
            x: real numbers, whose trailing axes match the channels of the coefficients.

        Raises:
            TypeError: x is not real.
            ValueError: channels that do not fit the shape of x.
        """
        x = check_array(x, "argument of a polynomial")
        dtype = _floating_dtype(x.dtype)
        working = dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)
        coefficients = jnp.asarray(self.coefficients, dtype=working)
        check_operands(jax.ShapeDtypeStruct(x.shape, working), coefficients)
        return bind_polynomial(x.astype(working), coefficients, self.interval).astype(dtype)

    @property
    def degree(self) -> int:
        """The degree that the coefficients have room for, leading zeros included."""
        return self.coefficients.shape[-1] - 1

    @property
    def depth(self) -> int:
        """The multiplicative depth of an evaluation, without the map of the interval to [-1, 1]."""
        return depth_of_degree(self.degree)

    @property
    def multiplications(self) -> int:
        """The products of two ciphertexts that an evaluation needs."""
        return multiplications_of_degree(self.degree)

    @property
    def channels(self) -> tuple[int, ...]:
        """The shape of the family of polynomials; () for a single one."""
        return tuple(self.coefficients.shape[:-1])

    def derivative(self) -> "Polynomial":
        """The derivative dp/dx on the same interval, of one degree less (of degree 0 for a constant)."""
        return Polynomial(differentiate(self.coefficients, self.interval), self.interval)

    def to_monomial(self) -> np.ndarray:
        """The coefficients of 1, x, x^2, .. in the original variable, NumPy float64 (*channels, degree + 1).

        For reading and for low degrees: their size grows like (1 + sqrt 2)^degree on [-1, 1], so that an
        evaluation from them loses 1.3 bits with every degree.

        Raises:
            TypeError: traced coefficients.
        """
        host = coefficients_on_host(self.coefficients, "converted to powers of x")
        return host @ chebyshev_to_monomials(self.degree, self.interval).T

    def __repr__(self) -> str:
        start, stop = self.interval
        if not isinstance(self.coefficients, np.ndarray | jax.Array):
            return f"Polynomial({self.coefficients!r}, interval=({start:g}, {stop:g}))"
        parts = [f"degree={self.degree}", f"interval=({start:g}, {stop:g})"]
        if self.channels:
            parts.append(f"channels={self.channels}")
        elif not is_traced(self.coefficients):
            parts.append(f"chebyshev=[{_abbreviated(np.asarray(self.coefficients))}]")
        if self.certificate is not None and not is_traced(self.certificate.error):
            parts.append(f"error={float(self.certificate.error):.4g}")
        return f"Polynomial({', '.join(parts)}, dtype={self.coefficients.dtype})"


def _abbreviated(coefficients: np.ndarray) -> str:
    texts = [f"{value:.4g}" for value in coefficients]
    return ", ".join(texts if len(texts) <= 8 else [*texts[:6], "...", texts[-1]])


def _floating_dtype(dtype: Any) -> Any:
    if jnp.issubdtype(dtype, jnp.floating):
        return dtype
    if jnp.issubdtype(dtype, jnp.integer):
        return jnp.result_type(float)
    raise TypeError(
        f"a polynomial is evaluated at real numbers, but x has dtype {dtype}; convert it to a floating dtype."
    )


def _check_coefficients(coefficients: Any) -> Any:
    if not isinstance(coefficients, jax.Array):
        coefficients = _as_numpy(coefficients)
    if coefficients.ndim == 0 or coefficients.size == 0:
        raise ValueError(
            "a polynomial needs coefficients on its last axis, one for each degree from 0, but the "
            f"shape given is {tuple(coefficients.shape)}; pass for example [0.0, 1.0]."
        )
    if not jnp.issubdtype(coefficients.dtype, jnp.floating):
        raise TypeError(
            "a polynomial has real floating coefficients, but the array given has dtype "
            f"{coefficients.dtype}; convert it to float32 or float64."
        )
    if not is_traced(coefficients) and not np.all(np.isfinite(np.asarray(coefficients))):
        raise ValueError(
            "a polynomial has finite coefficients, but some of those given are NaN or infinite; "
            "look at the fit or the training step that made them."
        )
    return coefficients


def _as_numpy(coefficients: Any) -> np.ndarray:
    try:
        array = np.asarray(coefficients)
    except (TypeError, ValueError, OverflowError):
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise TypeError(
            "the coefficients of a polynomial are an array of real numbers, but "
            f"{shown(coefficients)} of type {type(coefficients).__name__} was given; pass for example "
            "[0.0, 1.0]."
        )
    return array.astype(np.float64)
