"""Level scales: the scheme's own at each level, wherever values are bootstrapped."""

import dataclasses
import math

from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.policies.policy import LevelPolicy
from fhejax.program.circuit.lowering.scales import Real, Whole, floor


@dataclasses.dataclass(frozen=True)
class LevelScales(LevelPolicy):
    """The policy of scales near those of their levels, since what is missing is squared with every product.

    Attributes:
        levels: of the parameters, those of bootstraps where there are any.
    """

    levels: Levels

    def bits_above(self, drops: Whole, at: Whole) -> Real:
        """The primes between the value's level and the lowest; none are left for what went too low."""
        return self.levels.bits_above(at)

    def switch_deviation(self, base_bits: Real, total: Whole, drops: Whole) -> Real:
        """The key switch of the parameters at the value's level."""
        return self.levels.switch_deviation(drops)

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
