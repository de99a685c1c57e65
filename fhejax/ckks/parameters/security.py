"""How large a modulus may be: the limits of the 2024 security guideline, enforced exactly.

The limits are the largest log2(QP), Q the ciphertext modulus and P that of key switching, for
uniform ternary secrets and errors of standard deviation 3.19 or more, against classical attacks
(uSVP, BDD and dual hybrid, cost model MATZOV): Bossuat et al., "Security guidelines for
implementing homomorphic encryption" (eprint 2024/463), Table 5.2. Where the lattice estimator has
come out lower since, its value is taken: one bit less at 2^15 for 192 bits and at 2^16 and 2^17 for
128 bits. They do not hold for sparse secrets, which need less work to find.

In the conjugate-invariant ring the dimension is the ring's own degree N, and not the 2N of the
cyclotomic field around it (Kim and Song, "Approximate homomorphic encryption over the conjugate-
invariant ring", 2018): the same limits apply with that N.
"""

import math
import numbers
import operator
from collections.abc import Iterable
from types import MappingProxyType

from fhejax.ckks.parameters.requested_numbers import shown

_LIMITS = MappingProxyType(
    {
        128: MappingProxyType(
            {
                1 << 10: 26,
                1 << 11: 53,
                1 << 12: 106,
                1 << 13: 214,
                1 << 14: 430,
                1 << 15: 868,
                1 << 16: 1746,
                1 << 17: 3522,
            }
        ),
        192: MappingProxyType(
            {1 << 11: 36, 1 << 12: 73, 1 << 13: 147, 1 << 14: 297, 1 << 15: 596, 1 << 16: 1199}
        ),
        256: MappingProxyType(
            {1 << 11: 27, 1 << 12: 56, 1 << 13: 114, 1 << 14: 230, 1 << 15: 462, 1 << 16: 929}
        ),
    }
)
SECURITY_LEVELS = tuple(sorted(_LIMITS, reverse=True))


class SecurityError(ValueError):
    """Parameters that are not known to reach the security asked for."""


def checked_level(security: int) -> int:
    """The level of security that is asked for, in bits, if it is one that the table knows.

    Raises:
        SecurityError: anything but 128, 192 and 256; a boolean or a float is no level.
    """
    whole = isinstance(security, numbers.Integral) and not isinstance(security, bool)
    if not whole or security not in _LIMITS:
        raise SecurityError(
            f"security={shown(security)} was asked for; limits are known for 128, 192 and 256 bits: ask for "
            f"one of these, or pass insecure=True for parameters without security, for tests only."
        )
    return int(security)


def _limits(security: int) -> MappingProxyType[int, int]:
    return _LIMITS[checked_level(security)]


def maximum_modulus_bits(degree: int, security: int = 128) -> int:
    """The largest log2(QP) that is secure at ring degree `degree`.

    Raises SecurityError for a security level other than 128, 192 and 256, and for a degree without
    a limit at that level.
    """
    limits = _limits(security)
    if degree not in limits:
        raise SecurityError(
            f"{security}-bit security was asked for at ring degree {degree}, for which no limit is "
            f"known; use a power of two from {min(limits)} to {max(limits)}."
        )
    return limits[degree]


def _fix(product: int, limit: int, security: int) -> str:
    large_enough = [n for n, bits in _limits(security).items() if product <= 1 << bits]
    smaller = f"a modulus of at most {limit} bits"
    return f"degree {min(large_enough)} or {smaller}" if large_enough else smaller


def check_security(degree: int, moduli: Iterable[int], security: int = 128) -> None:
    """Refuse a modulus too large for the degree; `moduli` are all primes in use, P's included.

    The product is compared as an integer with 2^limit; nothing is rounded. Raises SecurityError
    when it is larger, for a degree or security level without a limit, and for moduli below 2.
    """
    moduli = [operator.index(modulus) for modulus in moduli]
    limit = maximum_modulus_bits(degree, security)
    if not moduli or min(moduli) < 2:
        raise SecurityError(
            f"The security of {len(moduli)} moduli was asked for, the smallest being "
            f"{min(moduli, default=None)}; at least one is needed and all of them at least 2: pass "
            "every prime of Q and P."
        )
    product = math.prod(moduli)
    if product > 1 << limit:
        raise SecurityError(
            f"{security}-bit security was asked for at ring degree {degree} with a modulus QP of "
            f"{(product - 1).bit_length()} bits, where at most {limit} are secure: use "
            f"{_fix(product, limit, security)}."
        )


def security_level(degree: int, modulus_product: int) -> int:
    """The highest of 256, 192 and 128 bits whose limit holds for QP = `modulus_product`, else 0.

    0 also stands for a degree that has no limits, and says that nothing is known.
    """
    met = (
        level
        for level in SECURITY_LEVELS
        if degree in _LIMITS[level] and modulus_product <= 1 << _LIMITS[level][degree]
    )
    return next(met, 0)
