"""The levels that given parameters have for a program."""

import dataclasses
import functools
import itertools
import math

import numpy as np

from fhejax.ckks import Parameters
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.scales import Whole
from fhejax.ring import modulus_bits

LARGEST_PRIME_BITS = 30
_ALIKE_BITS = 2  # by which levels that a program spends may differ: in large rings small primes are few
_MISSING_BITS = 0.2  # by which a modulus may be smaller than was thought, since a need has that to spare
_WHOLE_BITS = 1e-3  # by which what was asked for as a whole number may differ from it


@dataclasses.dataclass(frozen=True)
class GivenLevels:
    """The levels of given parameters that a program may spend: those from the lowest up that are of one size.

    Above them are, in parameters of bootstraps, those that these spend.

    Attributes:
        params: that were given.
    """

    params: Parameters

    @functools.cached_property
    def _sizes(self) -> list[float]:
        """log2 of what a rescale from each level divides by, from level 1 up, while they are alike."""
        params = self.params
        sizes = (math.log2(params.rescale_factor(n, n - 1)) for n in range(1, params.depth + 1))
        first = math.log2(params.rescale_factor(1, 0)) if params.depth else 0.0
        return list(itertools.takewhile(lambda size: abs(size - first) <= _ALIKE_BITS, sizes))

    @property
    def top(self) -> int:
        """The highest level at which ciphertexts may be fresh."""
        return len(self._sizes)

    @functools.cached_property
    def bits(self) -> float:
        """The size of a level: that of the scale for which the primes were made, or about its own."""
        if not self._sizes:
            return LARGEST_PRIME_BITS
        mean, made = math.fsum(self._sizes) / len(self._sizes), self.params.scales[self.top].bits
        size = made if abs(made - mean) < _ALIKE_BITS else mean
        return round(size) if abs(size - round(size)) < _WHOLE_BITS else size

    @functools.cached_property
    def _modulus_bits(self) -> np.ndarray:
        """log2 of the modulus at each level that may be spent, and a last one that nothing exceeds."""
        held = [modulus_bits(self.params.level_moduli(level)) for level in range(self.top + 1)]
        return np.array([*held, math.inf]) + _MISSING_BITS

    def lowest(self, base_bits: float | np.ndarray) -> Whole:
        """The level at which a circuit may end that needs so large a modulus; above all where none does."""
        found = np.searchsorted(self._modulus_bits, base_bits)
        return found if np.ndim(base_bits) else int(found)

    def ending_at(self, level: Whole, lowered: Lowered) -> Lowered:
        """A lowered circuit that ends at a level, or at several: with as many primes there as these have."""
        counts = np.array([len(self.params.levels[number]) for number in range(self.top + 1)])
        held = LARGEST_PRIME_BITS * counts[np.minimum(level, self.top)].astype(float)
        return dataclasses.replace(lowered, base_bits=held)
