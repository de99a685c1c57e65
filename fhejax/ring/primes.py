"""Primes that admit a number-theoretic transform, and their roots of unity (host integers)."""

import functools
import math
from collections.abc import Iterator

_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


@functools.lru_cache(maxsize=1 << 16)  # those near a size are asked for again with every level
def is_prime(candidate: int) -> bool:
    """Deterministic Miller-Rabin, exact below 3.3e24 (Sorenson and Webster, 2015)."""
    if candidate < 2 or any(candidate % small == 0 for small in _WITNESSES):
        return candidate in _WITNESSES
    twos = (candidate - 1 & 1 - candidate).bit_length() - 1
    return all(_passes(candidate, witness, twos) for witness in _WITNESSES)


def _passes(candidate: int, witness: int, twos: int) -> bool:
    power = pow(witness, candidate - 1 >> twos, candidate)
    if power in (1, candidate - 1):
        return True
    for _ in range(twos - 1):
        power = power * power % candidate
        if power == candidate - 1:
            return True
    return False


@functools.cache
def ntt_primes(bits: float, root_order: int, count: int, excluded: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The `count` primes nearest to 2**bits that are 1 modulo `root_order` and below 2**30.

    Args:
        bits: log2 of the wished size, from 14 to 30.
        root_order: the order of the root of unity each prime must have.
        count: how many distinct primes.
        excluded: primes already in use.

    Raises:
        ValueError: when the ring has too few such primes.
    """
    target = 2.0**bits
    ceiling, taken = 2**30, frozenset(excluded)
    near = range(round(target) // root_order, ceiling // root_order)
    below = range(round(target) // root_order - 1, max(2**12 // root_order, 0), -1)
    found: list[int] = []
    for candidate in _by_distance(near, below, root_order, target):
        if candidate < ceiling and candidate not in taken and is_prime(candidate):
            found.append(candidate)
            if len(found) == count:
                return tuple(found)
    raise ValueError(
        f"{count} primes near 2**{bits:.1f} that are 1 modulo {root_order} were asked for, and "
        f"{len(found)} exist below 2**30 beside those in use; ask for fewer levels or a smaller ring."
    )


def _by_distance(above: range, below: range, step: int, target: float) -> Iterator[int]:
    """Candidates k * step + 1, nearest to `target` first."""
    up, down = iter(above), iter(below)
    high, low = next(up, None), next(down, None)
    while high is not None or low is not None:
        if high is not None and (low is None or high * step + 1 - target <= target - low * step - 1):
            yield high * step + 1
            high = next(up, None)
        elif low is not None:
            yield low * step + 1
            low = next(down, None)


@functools.cache
def root_of_unity(prime: int, order: int) -> int:
    """The smallest-generator primitive root of unity of `order` (a power of two) modulo `prime`.

    Raises:
        ValueError: when `order` does not divide prime - 1.
    """
    if (prime - 1) % order:
        raise ValueError(
            f"a root of unity of order {order} was asked for modulo {prime}, which has none; "
            f"choose a prime that is 1 modulo {order}."
        )
    for generator in range(2, prime):
        root = pow(generator, (prime - 1) // order, prime)
        if pow(root, order // 2, prime) == prime - 1:
            return root
    raise ValueError(f"{prime} is not a prime: no root of unity of order {order} was found.")


def modulus_bits(moduli: tuple[int, ...]) -> float:
    """The binary logarithm of the product of `moduli`."""
    return math.log2(math.prod(moduli)) if moduli else 0.0
