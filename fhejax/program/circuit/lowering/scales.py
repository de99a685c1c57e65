"""Scales while a circuit is lowered: exact ones, or logarithms, of one setting or of many at once.

The search for settings needs no more than logarithms, and looks at all settings in one pass: what is a
number for one setting is then an array with a number for each.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fhejax.ckks.parameters import Scale

Real = Any  # a float, or a float64 array with one for each setting
Whole = Any  # an int, or an int64 array with one for each setting
Number = int | float | Fraction | np.ndarray
_ENDLESS = 2.0**20  # bits, or divisions: more than any modulus has


@dataclasses.dataclass(frozen=True, eq=False)
class RoughScale:
    """A scale while settings are searched for: its logarithm, or an array of one for each setting."""

    bits: Real

    def value(self) -> Real:
        """The scale itself."""
        return 2.0**self.bits


AnyScale = Scale | RoughScale


def value_of(scale: AnyScale) -> Real:
    """The scale as a number, or as numbers."""
    return scale.value() if isinstance(scale, RoughScale) else float(scale)


def exact_scale(scale: AnyScale) -> Scale:
    """The scale of a step that runs, which is exact."""
    if isinstance(scale, RoughScale):
        raise TypeError("a step of a search for settings was run; lower the circuit with exact scales first.")
    return scale


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


def raised_scale(scale: AnyScale, power: Whole) -> AnyScale:
    """The scale times 2^power."""
    if isinstance(scale, RoughScale):
        return RoughScale(scale.bits + power)
    return scale * 2.0**power


def largest_scale(scales: Sequence[AnyScale]) -> AnyScale:
    """The largest of several scales, for every setting."""
    if any(isinstance(scale, RoughScale) for scale in scales):
        return RoughScale(functools.reduce(np.maximum, (scale.bits for scale in scales)))
    return max(scales, key=lambda scale: scale.bits)


def floor(number: Real) -> Whole:
    """The next whole number below; what has no bound becomes as large as makes every circuit too deep."""
    if isinstance(number, np.ndarray):
        return np.floor(np.clip(np.nan_to_num(number, nan=np.inf), -_ENDLESS, _ENDLESS)).astype(np.int64)
    return math.floor(min(max(number, -_ENDLESS), _ENDLESS))


def ceiling(number: Real) -> Whole:
    """The next whole number above, as `floor` has that below."""
    return -floor(-number)


def maximum(*numbers: Any) -> Any:
    """The largest of several numbers, for every setting."""
    if any(isinstance(number, np.ndarray) for number in numbers):
        return functools.reduce(np.maximum, numbers)
    return max(numbers)


def choose(condition: Any, yes: Any, no: Any) -> Any:
    """The one of two numbers that a condition names, for every setting."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def _bits_of(number: AnyScale | Number) -> Real:
    if isinstance(number, RoughScale):
        return number.bits
    return np.log2(number) if isinstance(number, np.ndarray) else math.log2(number)


def _exact(number: AnyScale | Number) -> Scale | int | float | Fraction:
    if isinstance(number, RoughScale | np.ndarray):
        raise TypeError(
            "an exact scale met the logarithm of another; a circuit is lowered with exact scales or with "
            "logarithms, never with both."
        )
    return number
