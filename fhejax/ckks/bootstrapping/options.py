"""What may be asked of bootstrapping parameters: numbers in range that fit each other."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from fhejax.ckks.bootstrapping.modular_reduction import approximate_arcsine
from fhejax.ckks.bootstrapping.overflow_distribution import log2_failure_probability
from fhejax.ckks.parameters.level_table import LARGEST_LEVEL_BITS, SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.requested_numbers import (
    flag,
    power_of_two,
    real_number,
    set_fields,
    whole_number,
)
from fhejax.ckks.parameters.security import SecurityError, checked_level
from fhejax.ckks.parameters.validity import LARGEST_DIGIT
from fhejax.ring import Ring, check_ring

_KNOWN_SECURITY = 128  # of sparse secrets
_LARGEST_WEIGHT = 256  # of a sparse secret: heavier ones overflow beyond any modular reduction
_MOST_LEVELS = 255
_MOST_MATRICES = 2**17
_LARGEST_SCALE_BITS = 60  # two primes
_LARGEST_FAILURE_BITS = 1000
LONGEST_REDUCTION = 15  # levels
HIGHEST_DEGREE = 255
_HIGHEST_ARCSINE = 15
_RATIOS = (3, 30)
_WHOLE = {
    "hamming_weight": (1, _LARGEST_WEIGHT),
    "bound": (0, _LARGEST_WEIGHT),
    "polynomial_degree": (0, HIGHEST_DEGREE),
    "double_angles": (0, LONGEST_REDUCTION),
    "coefficients_to_slots": (1, _MOST_MATRICES),
    "slots_to_coefficients": (1, _MOST_MATRICES),
    "ratio_bits": (-(2**31), 2**31),
    "digit_size": (1, LARGEST_DIGIT),
    "arcsine_degree": (3, _HIGHEST_ARCSINE),
}
_REAL = {
    "modular_bits": (SMALLEST_LEVEL_BITS, _LARGEST_SCALE_BITS),
    "transform_bits": (SMALLEST_LEVEL_BITS, _LARGEST_SCALE_BITS),
    "base_bits": (SMALLEST_LEVEL_BITS, LARGEST_LEVEL_BITS),
}


@dataclasses.dataclass(frozen=True)
class BootstrappingOptions:
    """How a bootstrap is done: choices of `BootstrappingParameters.for_levels`, checked when made.

    The defaults are right for most. What is None is chosen by the library.

    Attributes:
        hamming_weight: of the sparse secret.
        bound: K, by default the smallest that fails rarely enough.
        polynomial_degree: by default the smallest that loses nothing beside the sine itself.
        double_angles: by default such that both take the fewest levels.
        coefficients_to_slots: matrices, a level each.
        slots_to_coefficients: matrices, a level each.
        modular_bits: of each level of the modular reduction.
        transform_bits: of each level of coefficients to slots.
        ratio_bits: log2 of q_0 over the message's scale: each bit takes 2 off the error of the sine, (2 pi /
            2^ratio)^2 / 6, and adds one to all noise of the modular reduction.
        base_bits: nominal bits of level 0, by default such that no prime is idle.
        digit_size: primes in one digit of the key switch.
        minimum_keys: two rotation keys for each matrix, at more time: see the module `minimum_keys`.
        arcsine_degree: odd, of a polynomial that takes away the error of the sine, for 2 levels (3) or 3 (5
            and 7): with 3 and `ratio_bits` of 10, or 5 and 8, to 2^-36. Noise falls with `ratio_bits`, too.

    Raises:
        ValueError: a field that is out of range, a ratio at which the sine turns back or that leaves no bits
            of the message, or an arcsine of even degree.
    """

    hamming_weight: int = 32
    bound: int | None = None
    polynomial_degree: int | None = None
    double_angles: int | None = None
    coefficients_to_slots: int = 4
    slots_to_coefficients: int = 3
    modular_bits: float = 59.8
    transform_bits: float = 52.0
    ratio_bits: int = 14
    base_bits: int | None = None
    digit_size: int | None = None
    minimum_keys: bool = False
    arcsine_degree: int | None = None

    def __post_init__(self) -> None:
        flag("minimum_keys", self.minimum_keys)
        for name, value in self._given(_WHOLE):
            set_fields(self, **{name: whole_number(name, value, *_WHOLE[name])})
        for name, value in self._given(_REAL):
            real_number(name, value, *_REAL[name])
        _check_ratio(self.ratio_bits)
        if self.arcsine_degree is not None:
            approximate_arcsine(self.arcsine_degree, self.ratio_bits)  # which refuses even degrees

    def _given(self, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Names and values, without those that are left to the library."""
        optional = {field.name for field in dataclasses.fields(self) if field.default is None}
        for name in names:
            value = getattr(self, name)
            if value is not None or name not in optional:
                yield name, value


def _check_ratio(ratio_bits: int) -> None:
    if not _RATIOS[0] <= ratio_bits <= _RATIOS[1]:
        raise ValueError(
            f"a modular reduction with a message 2**{ratio_bits} times smaller than q_0 was asked for; "
            f"ratio_bits is from {_RATIOS[0]}, below which the sine turns back, to {_RATIOS[1]}, where the "
            "rounding of coefficients leaves little of the message."
        )


def check_request(
    ring: Ring, levels: int, slots: int, scale_bits: float, failure_bits: float, options: BootstrappingOptions
) -> None:
    """Refuse what no bootstrap in this ring has; the arguments are those of `for_levels`.

    Raises:
        ValueError: a ring of another kind, a number out of range, or options that do not fit the ring.
    """
    check_ring(ring)
    if ring.conjugate_invariant:
        raise ValueError(
            "bootstrapping was asked for in the conjugate-invariant ring; it is there for the standard "
            "ring, whose slots are complex: make parameters from Ring(degree)."
        )
    whole_number("levels", levels, 0, _MOST_LEVELS)
    power_of_two("slots", slots, 1, ring.slots)
    real_number("scale_bits", scale_bits, SMALLEST_LEVEL_BITS, _LARGEST_SCALE_BITS)
    real_number("failure_bits", failure_bits, 1, _LARGEST_FAILURE_BITS)
    whole_number("hamming_weight", options.hamming_weight, 1, min(ring.degree, _LARGEST_WEIGHT))
    for name in ("coefficients_to_slots", "slots_to_coefficients"):
        whole_number(name, getattr(options, name), 1, ring.degree)


def check_known_security(security: int, insecure: bool) -> None:
    """Refuse a level of security at which no limits are known for sparse secrets.

    Raises:
        ValueError: what is neither True nor False.
        SecurityError: another level of security than the table's, or more than 128 bits.
    """
    if checked_level(security) > _KNOWN_SECURITY and not flag("insecure", insecure):
        raise SecurityError(
            f"{security}-bit security was asked for with bootstrapping, whose limits are known at "
            f"{_KNOWN_SECURITY} bits: ask for these, for the sake of the sparse secret."
        )


def check_bound(bound: int, needed: int, hamming_weight: int, slots: int, failure_bits: float) -> None:
    """Refuse a bound K of the overflows that a bootstrap would break too often.

    Args:
        bound: what was asked for.
        needed: the smallest that fails rarely enough.
        hamming_weight: of the sparse secret.
        slots: of the message.
        failure_bits: -log2 of the largest probability of failure.

    Raises:
        ValueError: a smaller bound, with the probability that it leads to.
    """
    if bound < needed:
        found = -log2_failure_probability(hamming_weight, bound, 2 * slots)
        raise ValueError(
            f"a bound of K = {bound} was asked for with a secret of weight {hamming_weight} and {slots} "
            f"slots; a bootstrap would fail with probability 2**-{found:.1f}, and 2**-{failure_bits:g} was "
            f"asked for, which takes K = {needed}."
        )
