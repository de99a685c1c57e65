"""Exact static scales: dyadic numbers of at most 128 significant bits."""

import dataclasses
import functools
import math
from fractions import Fraction

_MANTISSA_BITS = 128
_LARGEST_EXPONENT = 2**13  # far beyond any modulus, and the exact value is still small


@dataclasses.dataclass(frozen=True)
class Scale:
    """mantissa * 2**exponent, mantissa odd: a hashable static field, equal only if the number is.

    A quotient is rounded to 128 bits, so that scales stay short however many levels are used, and
    the relative error (2**-128) is far below any noise.
    """

    mantissa: int
    exponent: int

    @staticmethod
    def of(value: "int | float | Fraction | Scale") -> "Scale":
        """The scale nearest to a positive number.

        Raises:
            ValueError: when `value` is not positive and finite.
        """
        if isinstance(value, Scale):
            return value
        if not value > 0 or (isinstance(value, float) and math.isinf(value)):
            raise ValueError(f"a scale of {value} was asked for; a scale is positive and finite.")
        fraction = Fraction(value)
        shift = _MANTISSA_BITS - fraction.numerator.bit_length() + fraction.denominator.bit_length()
        mantissa = round(fraction * Fraction(2) ** shift)
        odd = mantissa & -mantissa
        return Scale(mantissa // odd, odd.bit_length() - 1 - shift)

    def is_normal(self) -> bool:
        """Whether `of` makes such a scale: integers, the mantissa odd and short, the exponent moderate."""
        if type(self.mantissa) is not int or type(self.exponent) is not int:
            return False
        short = 0 < self.mantissa < 2 ** (_MANTISSA_BITS + 1) and abs(self.exponent) <= _LARGEST_EXPONENT
        return short and self.mantissa % 2 == 1

    def fraction(self) -> Fraction:
        """The exact value."""
        return self.mantissa * Fraction(2) ** self.exponent

    def __mul__(self, other: "int | float | Fraction | Scale") -> "Scale":
        return _product(self, Scale.of(other))

    def __truediv__(self, other: "int | float | Fraction | Scale") -> "Scale":
        return _quotient(self, Scale.of(other))

    def __float__(self) -> float:
        return float(self.fraction())

    def square_root(self) -> "Scale":
        """The square root, rounded to 128 bits."""
        shift = 2 * _MANTISSA_BITS + self.exponent % 2
        root = math.isqrt(self.mantissa << shift)
        return Scale.of(root * Fraction(2) ** ((self.exponent - shift) // 2))

    def is_close(self, other: "Scale") -> bool:
        """Whether both are equal but for the rounding of a few quotients."""
        difference = abs(self.fraction() / other.fraction() - 1)
        return difference < Fraction(1, 2 ** (_MANTISSA_BITS - 28))

    @functools.cached_property
    def _hash(self) -> int:
        return hash((self.mantissa, self.exponent))

    def __hash__(self) -> int:
        return self._hash  # scales are compared at every call of a compiled function

    @property
    def bits(self) -> float:
        """log2 of the scale."""
        return math.log2(self.mantissa) + self.exponent

    def __repr__(self) -> str:
        return f"2**{self.bits:.3f}"


# A circuit meets few scales, again and again, and an exact fraction takes as long as a small product.
@functools.lru_cache(maxsize=4096)
def _product(first: Scale, second: Scale) -> Scale:
    return Scale.of(first.fraction() * second.fraction())


@functools.lru_cache(maxsize=4096)
def _quotient(first: Scale, second: Scale) -> Scale:
    return Scale.of(first.fraction() / second.fraction())
