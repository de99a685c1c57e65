"""P, the modulus that exists in switching keys alone, and is never below a digit.

The noise of a key switch grows with the largest digit over P: at a ratio of 1 it is a few times the rounding
of ModDown, at 2^-5 it vanishes beside it, and above 1 each bit of the ratio is a bit of precision lost.
"""

import math

from fhejax.ckks.parameters.level_table import largest_prime, primes_of_product, split_bits
from fhejax.ring import Ring, modulus_bits

MARGIN_BITS = 5.0  # of P over digits of several primes
_SHORTFALL_BITS = 0.25  # of that margin, since primes are what they are
_PRIMES_MORE = 8  # than would do if there were primes of every size


def special_primes(ring: Ring, moduli: tuple[int, ...], digit_size: int) -> tuple[int, ...]:
    """The primes of P: as few as make it as large as the digits need.

    Where digits are single primes P is the largest prime of the ring. Otherwise P is 5 bits larger than the
    largest digit, within a quarter of a bit below; in a ring of few primes it takes more, smaller ones.

    Args:
        ring: degree and kind.
        moduli: every prime of Q.
        digit_size: primes in one digit.

    Raises:
        ValueError: when the primes that are left do not make P as large.
    """
    if min(digit_size, len(moduli)) == 1:
        return (largest_prime(ring),)
    wished = largest_digit_bits(moduli, digit_size) + MARGIN_BITS
    fewest = len(split_bits(wished))
    for count in range(fewest, fewest + _PRIMES_MORE):
        try:
            primes = primes_of_product(ring, max(wished, count * _smallest_bits(ring)), count, moduli)
        except ValueError:  # all that are left are too small, or the last one was
            continue
        if modulus_bits(primes) >= wished - _SHORTFALL_BITS:
            return primes
    raise ValueError(
        f"digits of {digit_size} primes were asked for at degree {ring.degree}, the largest of "
        f"{wished - MARGIN_BITS:.1f} bits, and the primes that Q leaves make up no special modulus P of "
        f"{wished:.1f} bits; ask for fewer levels, or a smaller digit_size."
    )


def largest_digit_bits(moduli: tuple[int, ...], digit_size: int) -> float:
    """log2 of the largest product of primes that make a digit."""
    return max(modulus_bits(moduli[i : i + digit_size]) for i in range(0, len(moduli), digit_size))


def _smallest_bits(ring: Ring) -> float:
    """log2 of a size from which on the ring has primes at all."""
    return math.log2(ring.root_order) + 1
