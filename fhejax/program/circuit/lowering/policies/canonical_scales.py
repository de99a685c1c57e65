"""Canonical scales: exactly the scheme's own at each level, where a circuit is as deep as its levels."""

import dataclasses

from fhejax.program.circuit.lowering.policies.level_scales import LevelScales
from fhejax.program.circuit.lowering.scales import AnyScale, Real, Whole

_SPARE_BITS = 1.0  # by which a scale may be below its level's own after a division


@dataclasses.dataclass(frozen=True)
class CanonicalScales(LevelScales):
    """The policy of one scale at each level, so that a product takes one level and sums cost nothing.

    A value of a higher level is brought to that of a lower one by a product with an integer and a division,
    of which it has one to spare. Lazy scales would be worth less here: a plain factor pending on a weight is
    in every product with it again.
    """

    def own_scale(self, drops: Whole) -> AnyScale:
        """The scheme's scale after so many drops."""
        return self.levels.params.scales[max(0, self.levels.top - drops)]

    def least_scale_bits(self, bound: float) -> Real:
        """The scale of a level, about, whatever the bound."""
        return self.settings.prime_bits - _SPARE_BITS

    def power_before_division(self, bits: Real, floor_bits: Real, count: Whole) -> Whole:
        """The power 0: scales are what they are to be."""
        return 0
