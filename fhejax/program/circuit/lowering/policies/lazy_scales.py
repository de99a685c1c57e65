"""Lazy scales: of what is pending until a rescale, for circuits of few levels."""

import dataclasses
import math

import numpy as np

from fhejax.ckks.parameters.deviations import division_variance, key_switch_variance, slot_deviation
from fhejax.ckks.parameters.special_modulus import MARGIN_BITS
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.policies.policy import LevelPolicy
from fhejax.program.circuit.lowering.scales import Real, Whole
from fhejax.program.circuit.lowering.settings import base_limbs


@dataclasses.dataclass(frozen=True)
class LazyScales(LevelPolicy):
    """The policy of scales that are whatever weights and squares make them; a rescale takes spare primes.

    Attributes:
        levels: of the parameters, once they are known.
    """

    levels: Levels | None = None

    def bits_above(self, drops: Whole, at: Whole) -> Real:
        """The bits of the drops between, whose primes are all of one nominal size."""
        return self.settings.prime_bits * (drops - at)

    def switch_deviation(self, base_bits: Real, total: Whole, drops: Whole) -> Real:
        """The deviation by the sum of (Q_j / P)^2 over the digits of the primes that are not dropped yet."""
        if self.levels is not None:
            return self.levels.switch_deviation(int(drops))
        settings, finite = self.settings, np.where(np.isfinite(base_bits), base_bits, 60.0)
        ring, limbs, each = settings.ring, base_limbs(finite), base_limbs(settings.prime_bits)
        if settings.digit_size == 1:
            special = settings.special_bits
            ratios = limbs * 2.0 ** (2 * (finite / limbs - special))
            ratios = ratios + (total - drops) * each * 4.0 ** (settings.prime_bits / each - special)
        else:
            ratios = settings.digit_count(limbs + (total - drops) * each) * 4.0**-MARGIN_BITS
        variance = ratios * key_switch_variance(ring, [1], 1) + division_variance(ring)
        return np.where(np.isfinite(base_bits), np.sqrt(variance) * slot_deviation(ring, 1.0), math.inf)

    def least_scale_bits(self, bound: float) -> Real:
        """The one working scale, whatever the bound."""
        return self.settings.working_bits

    def power_before_division(self, bits: Real, floor_bits: Real, count: Whole) -> Whole:
        """The power 0: nothing is lost by a division that leaves less than the largest scale."""
        return 0
