"""Polynomials of polynomials, whose degrees are far higher than a single one's at the same depth."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jax.typing import ArrayLike

from fhejax.approx.checks import check_array
from fhejax.approx.intervals import Interval
from fhejax.approx.polynomials.certificate import Certificate


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["stages", "slope", "offset"],
    meta_fields=["squarings", "fitted"],
    drop_fields=["certificate"],
)
@dataclass(frozen=True, eq=False)
class Composite:
    """A composition x -> v = stages[-1](... stages[0](x)), then slope(v) x + offset(v), then squarings.

    All coefficients are leaves of this pytree, the certificate is none (see `Polynomial`).

    Attributes:
        stages: each a `Polynomial` or another composite, the first applied first.
        slope: a polynomial in v, or None, and the value is then v.
        offset: a polynomial in v, or None where `slope` is; the two share the powers of v, so that an
            evaluator pays for one basis.
        squarings: how often the value is squared in the end.
        fitted: the interval of the fit where the first stage reaches further; None means that stage's.
        certificate: what the fit is worth, if this is the result of one.
    """

    stages: tuple[Any, ...]
    slope: Any = None
    offset: Any = None
    squarings: int = 0
    fitted: Interval | None = None
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike) -> jax.Array:
        """The value at every entry of x, in x's shape and dtype, as for `Polynomial`.

        Raises:
            TypeError: x is no array of real numbers.
            ValueError: as `Polynomial`.
        """
        return self.apply(check_array(x, "argument of a composite"), lambda stage, at: stage(at))

    def apply(self, x: Any, evaluate: Callable[[Any, Any], Any]) -> Any:
        """The value at x, where `evaluate(stage, at)` applies a stage to an array."""
        value = functools.reduce(lambda at, stage: evaluate(stage, at), self.stages, x)
        if self.slope is not None:
            value = evaluate(self.slope, value) * x + evaluate(self.offset, value)
        for _ in range(self.squarings):
            value = value * value
        return value

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the fit; the whole domain of the first stage if nothing else is known."""
        return self.stages[0].interval if self.fitted is None else self.fitted

    @property
    def degree(self) -> int:
        """The degree of the whole as a polynomial in x."""
        inner = math.prod(stage.degree for stage in self.stages)
        if self.slope is not None:
            inner = max(inner * self.slope.degree + 1, inner * self.offset.degree)
        return inner << self.squarings

    @property
    def depth(self) -> int:
        """The multiplicative depth, without maps of intervals to [-1, 1]."""
        inner = sum(stage.depth for stage in self.stages)
        if self.slope is not None:
            inner = max(inner + self.slope.depth + 1, inner + self.offset.depth)
        return inner + self.squarings

    @property
    def multiplications(self) -> int:
        """The products of two ciphertexts that an evaluation needs."""
        inner = sum(stage.multiplications for stage in self.stages)
        if self.slope is not None:
            # Both share the baby and giant steps; the second adds about a root of its degree.
            inner += self.slope.multiplications + 1 + math.isqrt(self.offset.degree)
        return inner + self.squarings
