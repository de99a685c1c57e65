"""The larger of two numbers, and of many."""

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.certificate import Certificate
from fhejax.approx.checks import check_interval
from fhejax.approx.compose import composite


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
        x, y = jnp.asarray(x), jnp.asarray(y)
        return (x + y + self.absolute(x - y)) / 2

    def reduce(self, x: ArrayLike, axis: int = -1) -> jax.Array:
        """The largest entry along an axis, by rounds of pairs: ceil(log2 n) times the depth and error."""
        x = jnp.moveaxis(jnp.asarray(x), axis, 0)
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
