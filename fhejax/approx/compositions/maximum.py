"""The larger of two numbers, and of many."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.checks import check_axis, check_interval, check_real_array
from fhejax.approx.compositions.piecewise_linear import composite
from fhejax.approx.polynomials.certificate import Certificate


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["absolute"], meta_fields=[], drop_fields=["certificate"]
)
@dataclass(frozen=True, eq=False)
class Maximum:
    """max(x, y) = (x + y + |x - y|) / 2 with an approximation of the absolute value."""

    absolute: Any
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        """The larger of x and y, elementwise; both of one shape and floating dtype."""
        x, y = check_real_array(x, "first number"), check_real_array(y, "second number")
        if x.shape != y.shape or x.dtype != y.dtype or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ValueError(
                "a maximum is of two arrays of one shape and floating dtype, but those given have shapes "
                f"{x.shape} and {y.shape} and dtypes {x.dtype} and {y.dtype}; broadcast or convert them."
            )
        return (x + y + self.absolute(x - y)) / 2

    def reduce(self, x: ArrayLike, axis: int = -1) -> jax.Array:
        """The largest entry along an axis, by rounds of pairs: ceil(log2 n) times the depth and error."""
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
        """Multiplicative depth of one comparison."""
        return self.absolute.depth

    @property
    def multiplications(self) -> int:
        """Products of two ciphertexts in one comparison."""
        return self.absolute.multiplications


def maximum(degrees: Sequence[int], interval: tuple[float, float], *, margin: float = 0.05) -> Maximum:
    """max(x, y) for x and y in the interval, from the composite for |x - y|; its error is half as large.

    Rounds of ``reduce`` may leave the interval by the error of those before; ``margin`` allows for
    that. Errors: as ``composite``.
    """
    start, stop = check_interval(interval)
    absolute = composite("abs", degrees, (start - stop, stop - start), margin=margin)
    return maximum_of(absolute, (start, stop))


def maximum_of(absolute: Any, interval: tuple[float, float]) -> Maximum:
    """The maximum on an interval by a certified approximation of the absolute value of differences."""
    measured = absolute.certificate
    certificate = dataclasses.replace(measured, error=measured.error / 2, intervals=(interval,))
    return Maximum(absolute, certificate)
