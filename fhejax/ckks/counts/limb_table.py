"""How many limbs every level has, in 32-bit words or in those of another machine."""

import dataclasses
import functools
import math

from fhejax.ckks.parameters.level_table import moved_primes
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ring import modulus_bits


@dataclasses.dataclass(frozen=True)
class SwitchedLimbs:
    """The limbs that a key switch meets.

    Attributes:
        limbs: of Q at the level.
        special: of P.
        digits: limbs of each digit.
    """

    limbs: int
    special: int
    digits: tuple[int, ...]

    @property
    def extended(self) -> int:
        """The limbs of Q and P."""
        return self.limbs + self.special


@dataclasses.dataclass(frozen=True)
class LimbTable:
    """The limbs of ciphertexts by level: those of the parameters, or as few as hold the same bits elsewhere.

    Attributes:
        params: of the ciphertexts.
        usable_bits: of the modulus that a limb of another machine holds; None for the parameters' own primes.
    """

    params: Parameters
    usable_bits: float | None = None

    def limbs(self, level: int) -> int:
        """The limbs of Q at a level."""
        return self._held(self.params.level_moduli(level))

    @property
    def special(self) -> int:
        """The limbs of P."""
        return self._held(self.params.special) if self.params.special else 0

    def switched(self, level: int) -> SwitchedLimbs:
        """The limbs that a key switch meets at a level.

        On another machine a digit holds as many bits as the largest of the parameters' digits.
        """
        ranges = self.params.digit_ranges(level)
        if self.usable_bits is None:
            digits = tuple(stop - start for start, stop in ranges)
            return SwitchedLimbs(self.limbs(level), self.special, digits)
        largest = max(self._held(self.params.moduli[start:stop]) for start, stop in ranges)
        limbs = self.limbs(level)
        whole, rest = divmod(limbs, largest)
        return SwitchedLimbs(limbs, self.special, (largest,) * whole + ((rest,) if rest else ()))

    def dropped(self, level: int, target: int) -> int:
        """The limbs that a division from one level to a lower one takes away, at least one."""
        if level == target:
            return 0
        if self.usable_bits is None:
            params = self.params
            return len(moved_primes(params.moduli, params.levels[level], params.levels[target])[0])
        return max(1, self.limbs(level) - self.limbs(target))

    def _held(self, moduli: tuple[int, ...]) -> int:
        if self.usable_bits is None:
            return len(moduli)
        return math.ceil(modulus_bits(moduli) / self.usable_bits)


@functools.lru_cache(maxsize=64)
def limb_table(params: Parameters, usable_bits: float | None = None) -> LimbTable:
    """The table of some parameters; see `LimbTable`."""
    return LimbTable(params, usable_bits)
