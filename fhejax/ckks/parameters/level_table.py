"""Which primes are in use at each level, and the canonical scale of each: the data behind parameters.

Three kinds of level: one prime of up to 30 bits; several primes (two for 50 to 60 bits); and rational
rescaling, where scales of 35, 40 or 45 bits come from 25- and 30-bit primes alone, because going a level
down may drop some primes and bring others back (Cheddar, Kim et al. 2024).
"""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from fhejax.ckks.parameters.requested_numbers import real_number, whole_number
from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import Ring, modulus_bits, ntt_primes

PRIME_BITS = 30
SMALLEST_LEVEL_BITS = 16
LARGEST_LEVEL_BITS = 240
MOST_PRIMES = 512  # of Q: twice what the largest secure modulus has, and what files hold
RATIONAL_BITS = (35, 40, 45)
_LARGEST_DRIFT_BITS = 2.0  # of a scale; beyond, the error would double at every level
_LARGEST_MISS_BITS = 2.0  # of a product of primes
_MOST_BASE_BITS_MORE = 24
_SPREAD_BITS = 0.3  # rational sets of primes lie about this far below 2**30, so as to spread around it


@dataclasses.dataclass(frozen=True)
class LevelTable:
    """moduli: every prime of Q. levels: level -> indices of its primes. scales: level -> its scale."""

    moduli: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    scales: tuple[Scale, ...]


def split_bits(bits: float) -> list[float]:
    """Equal prime sizes, each at most 30 bits, that add up to `bits`."""
    count = max(1, math.ceil((bits - 0.01) / PRIME_BITS))
    return [max(bits / count, float(SMALLEST_LEVEL_BITS))] * count


def primes_of_product(ring: Ring, bits: float, count: int, excluded: tuple[int, ...]) -> tuple[int, ...]:
    """`count` primes of about equal size whose product is 2**bits within two bits.

    Raises:
        ValueError: when the primes that are left make up no such product.
    """
    chosen: tuple[int, ...] = ()
    for missing in range(count, 0, -1):
        size = min((bits - modulus_bits(chosen)) / missing, float(PRIME_BITS))
        chosen += ntt_primes(size, ring.root_order, 1, excluded + chosen)
    _check_product(chosen, bits, ring)
    return chosen


def _check_product(primes: tuple[int, ...], bits: float, ring: Ring) -> None:
    if abs(modulus_bits(primes) - bits) > _LARGEST_MISS_BITS:
        raise ValueError(
            f"{len(primes)} primes with a product of 2**{bits:.1f} were asked for at degree {ring.degree}, "
            f"and the nearest that are left make 2**{modulus_bits(primes):.1f}; ask for fewer levels, other "
            f"sizes, or a smaller ring."
        )


def largest_prime(ring: Ring) -> int:
    """The largest prime of the ring, which Q never has: P, or a key's one special prime, is not below it."""
    return ntt_primes(float(PRIME_BITS), ring.root_order, 1)[0]


def level_primes(ring: Ring, bits: float, count: int, taken: tuple[int, ...]) -> tuple[int, ...]:
    """Primes for Q; args and errors as `primes_of_product`."""
    return primes_of_product(ring, bits, count, (*taken, largest_prime(ring)))


def base_primes(ring: Ring, bits: float, taken: tuple[int, ...]) -> tuple[int, ...]:
    """Primes of level 0, of a product near 2**bits: above it where a large ring has no primes so small.

    Raises:
        ValueError: when the primes that are left make up no such product.
    """
    sizes = split_bits(bits)
    for more in range(_MOST_BASE_BITS_MORE):
        try:
            return level_primes(ring, sum(sizes) + more, len(sizes), taken)
        except ValueError:
            continue
    return level_primes(ring, sum(sizes), len(sizes), taken)  # which says why not


class Sizes(NamedTuple):
    """log2 of what each level drops, first dropped first, of the highest scale, and of level 0."""

    levels: list[float]
    scale: float
    base: float


def checked_sizes(level_bits: Sequence[float], scale_bits: float, base_bits: float | None) -> Sizes:
    """The sizes of levels as Python's numbers, refused before any prime is looked for where none would do.

    Raises:
        ValueError: a size that is no number, too small or too large, or more primes than parameters hold.
    """
    if len(level_bits) >= MOST_PRIMES:
        raise ValueError(
            f"{len(level_bits)} levels were asked for; parameters hold at most {MOST_PRIMES} primes: ask for "
            f"fewer levels."
        )
    smallest, largest = SMALLEST_LEVEL_BITS, LARGEST_LEVEL_BITS
    scale = real_number("scale_bits", scale_bits, 1, largest)
    levels = [real_number("level_bits", bits, smallest, largest) for bits in level_bits]
    base = real_number("base_bits", scale + 4 if base_bits is None else base_bits, smallest, largest)
    primes = sum(len(split_bits(bits)) for bits in (*levels, base))
    if primes > MOST_PRIMES:
        raise ValueError(
            f"{len(levels)} levels of {sum(levels):.0f} bits in all were asked for, which take {primes} "
            f"primes; parameters hold at most {MOST_PRIMES}: ask for fewer levels, or smaller ones."
        )
    return Sizes(levels, scale, base)


def chain(ring: Ring, level_bits: Sequence[float], scale_bits: float, base_bits: float) -> LevelTable:
    """Levels of primes of their own: each level drops what it has and the one below has not.

    From the top down, each level makes up for what the scale is off by: since a level squares the
    scale, the error would double at every level. The scale is followed exactly, because an error of
    rounding would double too.

    Raises:
        ValueError: sizes as `checked_sizes` refuses them, or so few primes left that the scale drifts.
    """
    level_bits, scale_bits, base_bits = checked_sizes(level_bits, scale_bits, base_bits)
    moduli: tuple[int, ...] = ()
    sizes: list[int] = []
    scales = [Scale.of(2.0**scale_bits)]
    for bits in level_bits:
        sizes.insert(0, len(split_bits(bits)))
        wished = sum(split_bits(bits)) + 2 * (scales[0].bits - scale_bits)
        level = level_primes(ring, wished, sizes[0], moduli)
        moduli = level + moduli
        scales.insert(0, scales[0] * scales[0] / math.prod(level))
        _check_drift(scales[0].bits - scale_bits, bits, len(sizes), ring)
    base = base_primes(ring, base_bits, moduli)
    ends = itertools.accumulate([len(base), *sizes])
    return LevelTable(base + moduli, tuple(tuple(range(end)) for end in ends), tuple(scales))


def _check_drift(drift: float, bits: float, levels: int, ring: Ring) -> None:
    if abs(drift) > _LARGEST_DRIFT_BITS:
        raise ValueError(
            f"levels of {bits:.1f} bits were asked for at degree {ring.degree}; after {levels}, so few such "
            f"primes are left that the scale would drift by {abs(drift):.1f} bits; ask for fewer levels, "
            f"other sizes, or rational rescaling."
        )


def moved_primes(
    moduli: tuple[int, ...], above: tuple[int, ...], below: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(dropped, added) primes between two sets of indices."""
    dropped = tuple(moduli[i] for i in above if i not in below)
    return dropped, tuple(moduli[i] for i in below if i not in above)


def rational_chain(ring: Ring, depth: int, scale_bits: float, base_bits: float | None = None) -> LevelTable:
    """Levels of `scale_bits` = 35, 40 or 45 bits from primes of 30 and 25 bits.

    A level has m primes of 30 bits and t of 25, 30 m + 25 t = base + level * scale_bits, for which t
    repeats every 6, 3 or 2 levels. The 25-bit primes lie before the others, so that every level is one
    run of indices. Scales are fixed from the bottom up, scale_l = sqrt(scale_(l-1) * ratio), so that the
    deviations of the primes are halved from level to level instead of doubled.

    Args:
        ring: degree and kind.
        depth: levels above 0.
        scale_bits: 35, 40 or 45.
        base_bits: nominal bits of level 0, a multiple of 5; by default the fewest that leave head room.

    Raises:
        ValueError: for another scale, a base that no primes make up, or when the ring has too few such
        primes.
    """
    whole_number("depth", depth, 0, MOST_PRIMES - 1)
    real_number("scale_bits", scale_bits, 1, LARGEST_LEVEL_BITS)
    if scale_bits not in RATIONAL_BITS:
        raise ValueError(
            f"rational rescaling was asked for with a scale of {scale_bits} bits; it exists for "
            f"{RATIONAL_BITS}. Smaller scales take one prime a level, larger ones two."
        )
    scale_bits = int(scale_bits)
    if base_bits is not None:
        base_bits = whole_number("base_bits", base_bits, SMALLEST_LEVEL_BITS, LARGEST_LEVEL_BITS)
    counts = _prime_counts(depth, scale_bits, base_bits)
    most, fewest = (max(pair[i] for pair in counts) for i in (0, 1))
    if most + fewest > MOST_PRIMES:
        raise ValueError(
            f"{depth} levels of {scale_bits} bits were asked for, which take {most + fewest} primes; "
            f"parameters hold at most {MOST_PRIMES}: ask for fewer levels."
        )
    share = 1 - _SPREAD_BITS / PRIME_BITS
    kept = (largest_prime(ring),)
    small = ntt_primes(25 * share, ring.root_order, fewest, kept)
    large = ntt_primes(30 * share, ring.root_order, most, small + kept) if most else ()
    moduli = small + large
    levels = tuple(tuple(range(fewest - t, fewest + m)) for m, t in counts)
    table = LevelTable(moduli, levels, _scales_from_the_bottom(moduli, levels, scale_bits * share))
    for level, scale in enumerate(table.scales):
        _check_drift(scale.bits - scale_bits * share, scale_bits, level, ring)
    wished = share * (30 * counts[0][0] + 25 * counts[0][1])
    _check_product(moduli[slice(levels[0][0], levels[0][-1] + 1)], wished, ring)
    return table


def _prime_counts(depth: int, scale_bits: int, base_bits: int | None) -> list[tuple[int, int]]:
    """(30-bit, 25-bit) primes of each level, for the smallest base that leaves 5 bits of head room."""
    for base in itertools.count(scale_bits + 5, 5) if base_bits is None else (base_bits,):
        counts = [_split(base + level * scale_bits) for level in range(depth + 1)]
        if base % 5 == 0 and all(m >= 0 for m, _ in counts):
            return counts
    raise ValueError(
        f"levels of {scale_bits} bits above a base of {base_bits} were asked for, which primes of 25 and "
        "30 bits do not make up; leave the base to the library, or try another multiple of 5."
    )


def _split(bits: int) -> tuple[int, int]:
    """30 m + 25 t = bits with 0 <= t < 6; m may come out negative."""
    small = -bits // 5 % 6
    return (bits - 25 * small) // 30, small


def _scales_from_the_bottom(
    moduli: tuple[int, ...], levels: tuple[tuple[int, ...], ...], scale_bits: float
) -> tuple[Scale, ...]:
    scales = [Scale.of(2.0**scale_bits)]
    for below, above in itertools.pairwise(levels):
        dropped, added = moved_primes(moduli, above, below)
        scales.append((scales[-1] * math.prod(dropped) / math.prod(added)).square_root())
    return tuple(scales)
