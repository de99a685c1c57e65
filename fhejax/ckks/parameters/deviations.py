"""Noise of single operations, as standard deviations in a slot times the scale.

A coefficient variance V becomes, in a real slot, M V in the conjugate-invariant ring and M V / 2 (the
real part) in the standard ring, with M the ambient degree: 2N or N.
"""

import math
from collections.abc import Iterable

from fhejax.ring import Ring

ERROR_VARIANCE = 10.5  # centred binomial with 42 coins
SECRET_VARIANCE = 2 / 3  # uniform ternary
ROUNDING_VARIANCE = 1 / 12


def slot_deviation(ring: Ring, coefficient_variance: float) -> float:
    """Standard deviation in a real slot, times the scale, of noise with this coefficient variance."""
    share = 1.0 if ring.conjugate_invariant else 0.5
    return math.sqrt(ring.expansion * coefficient_variance * share)


def encryption_variance(ring: Ring, public: bool = False) -> float:
    """The variance of a coefficient, after encoding and encryption under the secret key, or a public one.

    The public key's error e is multiplied by a ternary u, and a second one by s: e u + e_0 + e_1 s.
    """
    spread = 2 * ring.expansion * SECRET_VARIANCE if public else 0
    return ERROR_VARIANCE * (spread + 1) + ROUNDING_VARIANCE


def division_variance(ring: Ring, components: int = 2) -> float:
    """The variance of a coefficient from rounding every component after a division: r_0 + r_1 s (+ r_2 s^2).

    The values of s are normal, of variance M V_s: the fourth moment, which s^2 brings in, is 3 times the
    square of that for the real values of the conjugate-invariant ring, and 2 times for complex ones.
    """
    spread = ring.expansion * SECRET_VARIANCE
    fourth = 3 if ring.conjugate_invariant else 2
    return ROUNDING_VARIANCE * sum((1, spread, fourth * spread**2)[:components])


def key_switch_variance(ring: Ring, digits: Iterable[int], special: int) -> float:
    """The variance of a coefficient from a key's errors: sum of d_j e_j / P, without the rounding of ModDown.

    Args:
        ring: degree and kind.
        digits: Q_j, the product of the primes in each digit; d_j is centred and uniform modulo Q_j.
        special: P, the product of the special primes.
    """
    return ring.expansion * ERROR_VARIANCE * sum((q / special) ** 2 for q in digits) / 12


def fresh_deviation(ring: Ring) -> float:
    """Encryption under the secret key, and the rounding of the encoding."""
    return slot_deviation(ring, encryption_variance(ring))


def fresh_public_deviation(ring: Ring) -> float:
    """Encryption under a public key, and the rounding of the encoding."""
    return slot_deviation(ring, encryption_variance(ring, public=True))


def rescale_deviation(ring: Ring) -> float:
    """Rounding of both components after a division, the second multiplied by the secret."""
    return slot_deviation(ring, division_variance(ring))


def key_switch_deviation(ring: Ring, digit_ratio: float = 1.0, digits: int = 4) -> float:
    """Hybrid key switching with centred digits Q_j = digit_ratio * P, and the rounding of ModDown."""
    products = key_switch_variance(ring, [1] * digits, 1) * digit_ratio**2
    return slot_deviation(ring, products + division_variance(ring))
