"""What all parameters are checked for, by whatever way they are made: that they can be, and are secure."""

import math
from typing import TYPE_CHECKING

from fhejax.ckks.parameters.level_table import MOST_PRIMES, PRIME_BITS
from fhejax.ckks.parameters.requested_numbers import flag, whole_number
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import check_security
from fhejax.ring import check_ring, is_prime, modulus_bits

if TYPE_CHECKING:
    from fhejax.ckks.parameters.parameters import Parameters

LARGEST_DIGIT = MOST_PRIMES  # primes


def check_parameters(params: "Parameters") -> None:
    """Refuse `Parameters` that cannot be, whose special modulus is below a digit, or that are not secure.

    Raises:
        ValueError: a field that no parameters have, with what it is.
        SecurityError: less than 128 bits, without insecure=True.
    """
    check_ring(params.ring)
    flag("insecure", params.insecure)
    whole_number("digit_size", params.digit_size, 1, LARGEST_DIGIT)
    for check in (_check_primes, _check_levels, _check_scales, _check_special_modulus):
        check(params)
    if not params.insecure and params.security == 0:
        check_security(params.ring.degree, params.moduli + params.special)


def _check_primes(params: "Parameters") -> None:
    for name, primes in (("moduli", params.moduli), ("special", params.special)):
        if type(primes) is not tuple or any(type(q) is not int for q in primes):
            raise ValueError(
                f"parameters were asked for whose {name} are no tuple of integers; give Python's own numbers."
            )
        if len(primes) > MOST_PRIMES:
            raise ValueError(
                f"parameters with {len(primes)} primes as {name} were asked for, where {MOST_PRIMES} are the "
                f"most; ask for fewer levels."
            )
    primes, order = params.moduli + params.special, params.ring.root_order
    if len(set(primes)) < len(primes):
        raise ValueError("parameters with a prime twice were asked for; all of Q and P are different primes.")
    wrong = [q for q in primes if not 1 < q < 1 << PRIME_BITS or q % order != 1 or not is_prime(q)]
    if wrong:
        raise ValueError(
            f"parameters with the modulus {wrong[0]} were asked for at degree {params.ring.degree}, where a "
            f"prime below 2**{PRIME_BITS} that is 1 modulo {order} is needed."
        )


def _check_levels(params: "Parameters") -> None:
    """Levels are runs of primes, each of a larger product than the one below, and leave no prime out."""
    levels, count = params.levels, len(params.moduli)
    if type(levels) is not tuple or any(type(run) is not tuple for run in levels):
        raise ValueError("parameters were asked for whose levels are no tuple of tuples of indices.")
    if not levels or len(levels) > MOST_PRIMES or not all(levels):
        raise ValueError("parameters without a level, or with one without primes, were asked for.")
    for level, run in enumerate(levels):
        whole = all(type(i) is int for i in run)
        if not whole or run != tuple(range(run[0], run[-1] + 1)) or run[0] < 0 or run[-1] >= count:
            raise ValueError(f"the primes of level {level} are no run of indices among {count} moduli.")
    if set().union(*levels) != set(range(count)):
        raise ValueError("parameters with primes that are in use at no level were asked for.")
    products = [math.prod(params.moduli[i] for i in run) for run in levels]
    if products != sorted(set(products)):
        raise ValueError("parameters with a level that is not larger than the one below were asked for.")


def _check_scales(params: "Parameters") -> None:
    if type(params.scales) is not tuple or len(params.scales) != len(params.levels):
        raise ValueError("parameters were asked for whose scales are not one for each level.")
    limit = modulus_bits(params.moduli + params.special)
    for scale in params.scales:
        if type(scale) is not Scale or not scale.is_normal() or not 0 <= scale.bits <= limit:
            given = f"{scale.mantissa} * 2**{scale.exponent}" if type(scale) is Scale else repr(scale)
            raise ValueError(
                f"parameters with a scale of {given} and a modulus of 2**{limit:.0f} were asked for; a scale "
                f"is from 1 to the modulus, as Scale.of makes it."
            )


def _check_special_modulus(params: "Parameters") -> None:
    """Above P, each bit of a digit would cost every rotation and product a bit of precision."""
    if not params.special:
        return
    special = math.prod(params.special)
    for level in range(len(params.levels)):
        for start, stop in params.digit_ranges(level):
            digit = params.moduli[start:stop]
            if math.prod(digit) > special:
                raise ValueError(
                    f"a special modulus P of {modulus_bits(params.special):.1f} bits was asked for with a "
                    f"digit of {modulus_bits(digit):.1f} bits at level {level}; every digit is at most P, or "
                    f"key switching drowns the message: take a smaller digit_size or a larger P."
                )
