"""The levels of parameters that a circuit is lowered for."""

import dataclasses
import functools
import math
from fractions import Fraction

from fhejax.ckks import Parameters
from fhejax.ckks.keys.generation import digit_ranges
from fhejax.ckks.parameters.deviations import division_variance, key_switch_variance, slot_deviation
from fhejax.ring import modulus_bits


@dataclasses.dataclass(frozen=True)
class Levels:
    """The levels that a circuit spends: those of parameters, from the one of fresh ciphertexts down.

    Attributes:
        params: of the scheme.
        top: the level of fresh, and of bootstrapped, ciphertexts.
    """

    params: Parameters
    top: int

    def divisor(self, drop: int) -> int | Fraction:
        """What the d-th rescale divides by.

        Where a circuit drops more primes than there are, any number will do: it is found too deep.
        """
        if drop >= self.top:
            return self.params.moduli[-1]
        return self.params.rescale_factor(self.top - drop, self.top - drop - 1)

    def bits_above(self, at: int) -> float:
        """The bits of the primes between the level after `at` drops and the lowest one; -inf below that."""
        if at > self.top:
            return -math.inf
        moduli = self.params.level_moduli(self.top - at)
        return modulus_bits(moduli) - modulus_bits(self.params.level_moduli(0))

    def switch_deviation(self, drops: int) -> float:
        """The deviation of a key switch after so many drops, in a slot times the scale."""
        return _switch_deviation(self.params, max(0, self.top - drops))


@functools.lru_cache(4096)
def _switch_deviation(params: Parameters, level: int) -> float:
    moduli = params.level_moduli(level)
    digits = [math.prod(moduli[start:stop]) for start, stop in digit_ranges(params, level)]
    variance = key_switch_variance(params.ring, digits, math.prod(params.special))
    return slot_deviation(params.ring, variance + division_variance(params.ring))
