"""The choices of the planner under which a circuit is lowered."""

import dataclasses
import math

import numpy as np

from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.parameters.special_modulus import MARGIN_BITS
from fhejax.program.circuit.lowering.scales import Real, Whole
from fhejax.ring import Ring

_LARGEST_PRIME_BITS = 30
SLACK_BITS = 0.05  # primes differ from their nominal size by less


@dataclasses.dataclass(frozen=True)
class Settings:
    """The choices of the planner; arrays with one number for each where many are looked at together.

    Attributes:
        ring: in which the program computes.
        input_bits: log2 of the scale of fresh ciphertexts.
        weight_bits: bits of the largest weight of a layer.
        working_bits: least log2 scale after a rescale.
        prime_bits: log2 of what a rescale divides by.
        bootstrapping: the parameters, where there are bootstraps.
        bootstrap_error: root mean square of what each adds to numbers in (-1, 1).
        digit_size: primes in one digit of a key switch.
        canonical: whether every value has exactly the scale of its level, as `CanonicalScales` has it.
    """

    ring: Ring
    input_bits: Real
    weight_bits: Whole
    working_bits: Real
    prime_bits: Real
    bootstrapping: BootstrappingParameters | None = None
    bootstrap_error: float = 0.0
    digit_size: int = 1
    canonical: bool = False

    @property
    def special_bits(self) -> Real:
        """log2 of P: the one largest prime, or some bits more than a digit of several primes has."""
        if self.digit_size == 1:
            return _LARGEST_PRIME_BITS
        return self.digit_size * self.prime_bits / base_limbs(self.prime_bits) + MARGIN_BITS

    @property
    def special_limbs(self) -> Whole:
        """The number of primes of P."""
        return base_limbs(self.special_bits)

    def digit_count(self, limbs: Whole) -> Whole:
        """The number of digits of a key switch at so many primes."""
        return -(-limbs // self.digit_size)

    def prime_count(self, base_bits: Real, drops: Whole) -> Whole:
        """The number of primes of Q, for a modulus that is never dropped and so many primes that are."""
        return base_limbs(base_bits) + drops * base_limbs(self.prime_bits)

    def at(self, index: int) -> "Settings":
        """One of many settings, with plain numbers."""
        names = ("input_bits", "weight_bits", "working_bits", "prime_bits")
        return dataclasses.replace(self, **{name: getattr(self, name)[index].item() for name in names})


def base_limbs(base_bits: Real) -> Whole:
    """The number of primes of the modulus that is never dropped."""
    if isinstance(base_bits, np.ndarray):
        return np.maximum(1, np.ceil((base_bits - 0.02) / 30))
    return max(1, math.ceil((base_bits - 0.02) / 30))
