"""Level scales: the scheme's own at each level, wherever values are bootstrapped."""

import dataclasses
import math

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.keys.generation import digit_ranges
from fhejax.ckks.parameters.deviations import division_variance, key_switch_variance, slot_deviation
from fhejax.program.circuit.lowering.policies.policy import LevelPolicy
from fhejax.program.circuit.lowering.scales import Real, Whole, floor
from fhejax.ring import modulus_bits


@dataclasses.dataclass(frozen=True)
class LevelScales(LevelPolicy):
    """The policy of scales near those of their levels, since what is missing is squared with every product.

    Attributes:
        parameters: of the bootstraps, whose levels these are.
    """

    parameters: BootstrappingParameters

    def bits_above(self, drops: Whole, at: Whole) -> Real:
        """The primes between the value's level and the lowest; none are left for what went too low."""
        params, level = self.parameters.params, self.parameters.output_level - at
        if level < 0:
            return -math.inf
        return modulus_bits(params.level_moduli(level)) - modulus_bits(params.level_moduli(0))

    def switch_deviation(self, base_bits: Real, total: Whole, drops: Whole) -> Real:
        """The key switch of the parameters at the value's level."""
        return _switch_deviation(self.parameters.params, max(0, self.parameters.output_level - drops))

    def least_scale_bits(self, bound: float) -> Real:
        """The working scale less the bits of the bound: larger values need no more of the modulus."""
        return self.settings.working_bits - math.log2(max(bound, 1.0))

    def power_before_division(self, bits: Real, floor_bits: Real, count: Whole) -> Whole:
        """The power that brings the scale after the division nearly to the level's own."""
        if count == 0:
            return 0
        lost = self.settings.prime_bits - self.settings.working_bits
        own = floor_bits + lost + count * self.settings.prime_bits
        return floor(own - bits)


def _switch_deviation(params: Parameters, level: int) -> float:
    moduli = params.level_moduli(level)
    digits = [math.prod(moduli[start:stop]) for start, stop in digit_ranges(params, level)]
    variance = key_switch_variance(params.ring, digits, math.prod(params.special))
    return slot_deviation(params.ring, variance + division_variance(params.ring))
