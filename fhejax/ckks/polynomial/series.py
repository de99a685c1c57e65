"""The plain side of a homomorphic polynomial: its coefficients, checked, and how they divide."""

import dataclasses
import functools
from fractions import Fraction

import numpy as np
from jax.typing import ArrayLike
from numpy.polynomial import chebyshev, polynomial

from fhejax.approx import Polynomial
from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.polynomial.product_plan import Split
from fhejax.ckks.types import is_concrete


@dataclasses.dataclass(frozen=True)
class Series:
    """coefficients: float64 [degree + 1, *channels], of T_k((x - middle) / half_width) or of x^k."""

    coefficients: np.ndarray
    chebyshev: bool
    middle: Fraction = Fraction(0)
    half_width: Fraction = Fraction(1)

    @property
    def channels(self) -> tuple[int, ...]:
        """Shape of the family of polynomials; () for one that all slots share."""
        return self.coefficients.shape[1:]

    @property
    def support(self) -> int:
        """Bit k set where a coefficient k is not exactly zero."""
        return sum(1 << k for k, row in enumerate(self.coefficients) if row.any())

    def derivative(self) -> "Series":
        """The derivative by x itself."""
        differentiate = chebyshev.chebder if self.chebyshev else polynomial.polyder
        slopes = differentiate(self.coefficients) / float(self.half_width)
        return dataclasses.replace(self, coefficients=slopes)

    @functools.cached_property
    def largest_value(self) -> float:
        """Largest magnitude on a grid of the interval: at most 8% below the true one."""
        degree = len(self.coefficients) - 1
        points = np.cos(np.linspace(0, np.pi, 4 * degree + 5))
        basis = (chebyshev.chebvander if self.chebyshev else polynomial.polyvander)(points, degree)
        return float(np.abs(basis @ self.coefficients.reshape(degree + 1, -1)).max())

    def divide(self, split: Split) -> tuple["Series", "Series"]:
        """q and r of p = q T_m + r, for the terms of p from m to `split.top`."""
        giant, top = split.giant, split.top
        quotient, remainder = self.coefficients[giant : top + 1].copy(), self.coefficients.copy()
        remainder[giant : top + 1] = 0
        if self.chebyshev:  # T_(m+j) = 2 T_m T_j - T_(m-j)
            remainder[2 * giant - top : giant] -= quotient[:0:-1]
            quotient[1:] *= 2
        first, second = (dataclasses.replace(self, coefficients=c) for c in (quotient, remainder))
        return first, second


def read_series(given: Polynomial | ArrayLike) -> Series:
    """A `Polynomial`, or coefficients [*channels, degree + 1] of 1, x, x^2, ..

    Raises:
        ValueError: no coefficients, some that are not finite, or traced by JAX.
        TypeError: coefficients that are not real numbers.
    """
    coefficients = given.coefficients if isinstance(given, Polynomial) else given
    if not is_concrete(coefficients):
        raise ValueError(
            "a polynomial whose coefficients are traced by JAX was to be evaluated; they become integers of "
            "the circuit, so close over the polynomial instead of passing it to the jitted function."
        )
    coefficients = np.asarray(as_numbers(coefficients, "a polynomial"))
    _check_coefficients(coefficients)
    coefficients = np.moveaxis(coefficients.astype(np.float64), -1, 0)
    if coefficients.size == len(coefficients):
        coefficients = coefficients.reshape(-1)
    if not isinstance(given, Polynomial):
        return Series(coefficients, False)
    start, stop = (Fraction(end) for end in given.interval)
    return Series(coefficients, True, (start + stop) / 2, (stop - start) / 2)


def _check_coefficients(coefficients: np.ndarray) -> None:
    if coefficients.ndim == 0 or not coefficients.size:
        raise ValueError(
            f"a polynomial with coefficients of shape {coefficients.shape} was to be evaluated; the last "
            f"axis holds one coefficient for each degree from 0, so at least one."
        )
    if coefficients.dtype.kind in "cb":
        raise TypeError(
            f"a polynomial with coefficients of dtype {coefficients.dtype} was to be evaluated; it needs "
            f"real numbers."
        )
    if not np.isfinite(coefficients.astype(np.float64)).all():
        raise ValueError(
            "a polynomial with a coefficient that is NaN or infinite was to be evaluated; look at the fit "
            "that made it."
        )
