"""Noise of single operations, as standard deviations in a slot times the scale.

A coefficient variance V becomes, in a real slot, M V in the conjugate-invariant ring and M V / 2 (the
real part) in the standard ring, with M the ambient degree: 2N or N.
"""

import math

from fhejax.ring import Ring

ERROR_VARIANCE = 10.5  # centred binomial with 42 coins
SECRET_VARIANCE = 2 / 3  # uniform ternary
ROUNDING_VARIANCE = 1 / 12


def slot_deviation(ring: Ring, coefficient_variance: float) -> float:
    """Standard deviation in a real slot, times the scale, of noise with this coefficient variance."""
    share = 1.0 if ring.conjugate_invariant else 0.5
    return math.sqrt(ring.expansion * coefficient_variance * share)


def fresh_deviation(ring: Ring) -> float:
    """Encryption under the secret key, and the rounding of the encoding."""
    return slot_deviation(ring, ERROR_VARIANCE + ROUNDING_VARIANCE)


def fresh_public_deviation(ring: Ring) -> float:
    """Encryption under a public key: e u + e_0 + e_1 s."""
    spread = 2 * ring.expansion * SECRET_VARIANCE + 1
    return slot_deviation(ring, ERROR_VARIANCE * spread + ROUNDING_VARIANCE)


def rescale_deviation(ring: Ring) -> float:
    """Rounding of both components after a division, the second multiplied by the secret."""
    return slot_deviation(ring, ROUNDING_VARIANCE * (1 + ring.expansion * SECRET_VARIANCE))


def key_switch_deviation(ring: Ring, digit_ratio: float = 1.0, digits: int = 4) -> float:
    """Hybrid key switching with centred digits Q_j = digit_ratio * P, and the rounding of ModDown."""
    products = ring.expansion * ERROR_VARIANCE * digits * digit_ratio**2 / 12
    rounding = ROUNDING_VARIANCE * (1 + ring.expansion * SECRET_VARIANCE)
    return slot_deviation(ring, products + rounding)
