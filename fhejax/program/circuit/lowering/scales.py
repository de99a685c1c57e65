"""Scales while a graph is lowered: exact ones, or logarithms where that is enough."""

import dataclasses
import math
from fractions import Fraction

from fhejax.ckks.parameters import Scale


@dataclasses.dataclass(frozen=True)
class RoughScale:
    """A scale while settings are searched for: its logarithm is all that matters, and is 20 times faster."""

    bits: float

    def __float__(self) -> float:
        return 2.0**self.bits


AnyScale = Scale | RoughScale
Number = int | float | Fraction


def scale_product(scale: AnyScale, factor: AnyScale | Number) -> AnyScale:
    """The product of a scale with a scale of its kind, or with a number."""
    if isinstance(scale, RoughScale):
        return RoughScale(scale.bits + _bits_of(factor))
    return scale * _exact(factor)


def scale_quotient(scale: AnyScale, divisor: AnyScale | Number) -> AnyScale:
    """The quotient of a scale and a scale of its kind, or a number."""
    if isinstance(scale, RoughScale):
        return RoughScale(scale.bits - _bits_of(divisor))
    return scale / _exact(divisor)


def _bits_of(number: AnyScale | Number) -> float:
    return number.bits if isinstance(number, RoughScale) else math.log2(number)


def _exact(number: AnyScale | Number) -> Scale | Number:
    if isinstance(number, RoughScale):
        raise TypeError(
            "an exact scale met the logarithm of another; a graph is lowered with exact scales or with "
            "logarithms, never with both."
        )
    return number
