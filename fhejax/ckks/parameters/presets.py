"""Named parameters: ring, security, depth and scale in the name, at the greatest depth that is secure.

The depths were found by a search over the size of the digits: three or four digits, and three where both
reach the same depth, since every digit costs time and key bytes. Tests make sure of what the names claim, and
that no preset has room for one more level. At N = 2**17 the primes of levels with a single one run out before
the modulus does, so that there are none.
"""

import dataclasses
import difflib
import functools
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from fhejax.ckks.parameters.level_table import RATIONAL_BITS
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.parameters import Parameters, make_parameters
from fhejax.ring import Ring

# log2 N, real -> scale in bits -> (depth, primes in a digit)
_DEPTHS = MappingProxyType(
    {
        (12, True): {26: (1, 1), 29: (1, 1)},
        (12, False): {26: (1, 1), 29: (1, 1)},
        (13, True): {25: (5, 2), 29: (4, 2), 45: (1, 2), 55: (1, 2)},
        (13, False): {25: (5, 2), 29: (4, 2), 45: (1, 2), 55: (1, 2)},
        (14, True): {26: (11, 4), 29: (10, 3), 35: (6, 3), 40: (5, 3), 45: (5, 3), 55: (5, 3)},
        (14, False): {26: (11, 4), 29: (10, 3), 35: (6, 3), 40: (5, 3), 45: (5, 3), 55: (5, 3)},
        (15, True): {26: (24, 7), 29: (22, 6), 35: (16, 6), 40: (14, 6), 45: (13, 6), 55: (11, 6)},
        (15, False): {26: (24, 7), 29: (22, 6), 35: (16, 6), 40: (14, 6), 45: (13, 6), 55: (11, 6)},
        (16, True): {29: (46, 12), 35: (36, 12), 40: (32, 12), 45: (29, 12), 55: (23, 12)},
        (16, False): {29: (46, 12), 35: (36, 12), 40: (32, 12), 45: (29, 12), 55: (24, 13)},
        (17, True): {35: (77, 24), 40: (68, 24), 45: (61, 24), 57: (47, 25)},
        (17, False): {35: (77, 24), 40: (68, 24), 45: (61, 24), 57: (48, 25)},
    }
)
_SECURITY = 128


@dataclasses.dataclass(frozen=True)
class Preset:
    """What a preset's name says; nothing is computed before `parameters` is called.

    scale_bits: one prime a level up to 29, rational rescaling at 35, 40 and 45, two primes from 55.
    """

    log_degree: int
    real: bool
    depth: int
    scale_bits: int
    digit_size: int
    security: int = _SECURITY

    @property
    def name(self) -> str:
        """The name, such as real-n14-128bit-depth5-scale40."""
        kind = "real" if self.real else "complex"
        return f"{kind}-n{self.log_degree}-{self.security}bit-depth{self.depth}-scale{self.scale_bits}"

    def parameters(self) -> Parameters:
        """The parameters, checked for security as all are."""
        rational = self.scale_bits in RATIONAL_BITS
        options = ParameterOptions(rational, digit_size=self.digit_size, security=self.security)
        return make_parameters(Ring(2**self.log_degree, self.real), self.depth, self.scale_bits, options)


def _presets() -> Iterator[Preset]:
    for (log_degree, real), scales in _DEPTHS.items():
        for scale_bits, (depth, digit_size) in scales.items():
            yield Preset(log_degree, real, depth, scale_bits, digit_size)


PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _presets()})


@functools.cache
def preset(name: str) -> Parameters:
    """The parameters of this name, one of `PRESETS`.

    Raises:
        ValueError: an unknown name, with those closest to it.
    """
    if name not in PRESETS:
        closest = ", ".join(difflib.get_close_matches(str(name), PRESETS, n=3, cutoff=0.0))
        raise ValueError(
            f"the preset {name!r} was asked for, and there is none of that name; the closest of "
            f"{len(PRESETS)} are {closest}. ckks.parameters.PRESETS lists all, "
            f"and Parameters.for_depth makes others."
        )
    return PRESETS[name].parameters()
