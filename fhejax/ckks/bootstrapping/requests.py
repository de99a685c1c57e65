"""What may be asked of bootstrapping parameters: numbers in range that fit each other."""

from collections.abc import Mapping
from typing import Any

from fhejax.ckks.bootstrapping.overflow_distribution import log2_failure_probability
from fhejax.ckks.parameters.level_table import LARGEST_LEVEL_BITS, SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.requested_numbers import flag, power_of_two, real_number, whole_number
from fhejax.ckks.parameters.security import SecurityError, checked_level
from fhejax.ckks.parameters.validity import LARGEST_DIGIT
from fhejax.ring import Ring, check_ring

_KNOWN_SECURITY = 128  # of sparse secrets
LARGEST_WEIGHT = 256  # of a sparse secret: heavier ones overflow beyond any modular reduction
_MOST_LEVELS = 255
_LARGEST_SCALE_BITS = 60  # two primes
_LARGEST_FAILURE_BITS = 1000


def check_request(
    ring: Ring,
    levels: int,
    slots: int,
    scale_bits: float,
    failure_bits: float,
    security: int,
    insecure: bool,
    options: Mapping[str, Any],
) -> None:
    """Refuse what no bootstrap has; the arguments are those of `make_bootstrapping_parameters`.

    Args:
        options: the others, by name; those of the modular reduction are left to `check_reduction`.

    Raises:
        ValueError: a ring of another kind, or a number out of range.
        SecurityError: another level of security than the table's.
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
    if checked_level(security) > _KNOWN_SECURITY and not insecure:
        raise SecurityError(
            f"{security}-bit security was asked for with bootstrapping, whose limits are known at "
            f"{_KNOWN_SECURITY} bits: ask for these, for the sake of the sparse secret."
        )
    flag("insecure", insecure)
    flag("minimum_keys", options["minimum_keys"])
    for name in ("coefficients_to_slots", "slots_to_coefficients"):
        whole_number(name, options[name], 1, ring.degree)
    for name in ("modular_bits", "transform_bits"):
        real_number(name, options[name], SMALLEST_LEVEL_BITS, _LARGEST_SCALE_BITS)
    if options["base_bits"] is not None:
        real_number("base_bits", options["base_bits"], SMALLEST_LEVEL_BITS, LARGEST_LEVEL_BITS)
    if options["digit_size"] is not None:
        whole_number("digit_size", options["digit_size"], 1, LARGEST_DIGIT)


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
    bound = whole_number("bound", bound, 0, LARGEST_WEIGHT)
    if bound < needed:
        found = -log2_failure_probability(hamming_weight, bound, 2 * slots)
        raise ValueError(
            f"a bound of K = {bound} was asked for with a secret of weight {hamming_weight} and {slots} "
            f"slots; a bootstrap would fail with probability 2**-{found:.1f}, and 2**-{failure_bits:g} was "
            f"asked for, which takes K = {needed}."
        )
