"""The maximum of two numbers, and of many."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.checks import check_axis, check_real_array
from fhejax.approx.compositions.piecewise_linear import composite
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.certificate import Certificate, certificate_of


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["absolute"], meta_fields=[], drop_fields=["certificate"]
)
@dataclass(frozen=True, eq=False)
class Maximum:
    """The maximum max(x, y) = (x + y + |x - y|) / 2 with an approximation of the absolute value.

    Attributes:
        absolute: that approximation, a `Composite` or `Polynomial`.
        certificate: what the maximum is worth; half the error of the absolute value.
    """

    absolute: Any
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        """The larger of x and y, elementwise, in their shape and dtype.

        Raises:
            TypeError: no real numbers.
            ValueError: arrays of different shapes or dtypes, or of none that is floating.
        """
        x, y = check_real_array(x, "first number"), check_real_array(y, "second number")
        if x.shape != y.shape or x.dtype != y.dtype or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                "a maximum is of two arrays of one shape and floating dtype, but those given have shapes "
                f"{x.shape} and {y.shape} and dtypes {x.dtype} and {y.dtype}; broadcast or convert them."
            )
        return (x + y + self.absolute(x - y)) / 2

    def reduce(self, x: ArrayLike, axis: int = -1) -> jax.Array:
        """The largest entry along an axis, by rounds of pairs: ceil(log2 n) times the depth and error.

        Raises:
            TypeError: no real numbers, or an axis that is no integer.
            ValueError: an axis that the array has not, or an empty one.
        """
        x = check_real_array(x, "argument of a maximum")
        x = jnp.moveaxis(x, check_axis(axis, x), 0)
        if x.shape[0] == 0:
            raise ValueError("a maximum is over one entry or more, but the axis given is empty; fill it.")
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            larger = self(x[:half], x[half : 2 * half])
            x = jnp.concatenate([larger, x[2 * half :]])
        return x[0]

    @property
    def depth(self) -> int:
        """The multiplicative depth of one comparison."""
        return self.absolute.depth

    @property
    def multiplications(self) -> int:
        """The products of two ciphertexts in one comparison."""
        return self.absolute.multiplications


def maximum(degrees: Sequence[int], interval: Interval, *, margin: float = 0.05) -> Maximum:
    """The maximum of two numbers of an interval, from the composite for |x - y|; its error is half as large.

    Rounds of `reduce` may leave the interval by the error of those before; `margin` allows for that.

    Args:
        degrees: those of the composite, odd integers.
        interval: a pair (a, b) that holds both numbers.
        margin: the share of the interval by which numbers may lie outside, as for `composite`.

    Returns:
        A `Maximum` with a certificate.

    Raises:
        TypeError: as `composite`.
        ValueError: as `composite`.
    """
    start, stop = check_interval(interval)
    absolute = composite("abs", degrees, (start - stop, stop - start), margin=margin)
    return maximum_of(absolute, (start, stop))


def maximum_of(absolute: Any, interval: Interval) -> Maximum:
    """The maximum on an interval by a certified approximation of the absolute value of differences."""
    measured = certificate_of(absolute)
    certificate = dataclasses.replace(measured, error=measured.error / 2, intervals=(interval,))
    return Maximum(absolute, certificate)
