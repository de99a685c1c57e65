"""The decisions of a level policy; each policy is one file beside this."""

import abc
import dataclasses

from fhejax.program.circuit.lowering.scales import Real, Whole
from fhejax.program.circuit.lowering.settings import Settings


@dataclasses.dataclass(frozen=True)
class LevelPolicy(abc.ABC):
    """The way in which scales and levels go together.

    Attributes:
        settings: of the planner.
    """

    settings: Settings

    @abc.abstractmethod
    def bits_above(self, drops: Whole, at: Whole) -> Real:
        """The log2 of what is divided by between a value after `at` drops and the lowest level.

        Args:
            drops: on the longest path.
            at: before the value.
        """

    @abc.abstractmethod
    def switch_deviation(self, base_bits: Real, total: Whole, drops: Whole) -> Real:
        """The deviation of a key switch after `drops` of `total` drops, in a slot times the scale.

        Args:
            base_bits: log2 of the modulus that is never dropped.
            total: drops on the longest path.
            drops: before the key switch.
        """

    @abc.abstractmethod
    def least_scale_bits(self, bound: float) -> Real:
        """The least log2 scale that a rescale may leave to values below a bound."""

    @abc.abstractmethod
    def power_before_division(self, bits: Real, floor_bits: Real, count: Whole) -> Whole:
        """The power of two by which a value is multiplied before a division; 0 for none.

        Args:
            bits: log2 of the value's scale.
            floor_bits: least log2 scale that the division may leave.
            count: primes that it is divided by.
        """
