"""Which primes are in use at each level, and the canonical scale of each: the data behind parameters.

Three kinds of level: one prime of up to 30 bits; several primes (two for 50 to 60 bits); and rational
rescaling, where scales of 35, 40 or 45 bits come from 25- and 30-bit primes alone, because going a level
down may drop some primes and bring others back (Cheddar, Kim et al. 2024).
"""

import dataclasses
import itertools
import math

from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import Ring, modulus_bits, ntt_primes

PRIME_BITS = 30
SMALLEST_PRIME_BITS = 20
RATIONAL_BITS = (35, 40, 45)
_LARGEST_DRIFT_BITS = 2.0  # of a scale; beyond, the error would double at every level
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
    return [max(bits / count, SMALLEST_PRIME_BITS - 4)] * count


def primes_of_product(ring: Ring, bits: float, count: int, excluded: tuple[int, ...]) -> tuple[int, ...]:
    """`count` primes of about equal size whose product is close to 2**bits."""
    chosen: tuple[int, ...] = ()
    for missing in range(count, 0, -1):
        size = min((bits - modulus_bits(chosen)) / missing, float(PRIME_BITS))
        chosen += ntt_primes(size, ring.root_order, 1, excluded + chosen)
    return chosen


def chain(ring: Ring, level_bits: list[float], scale_bits: float, base_bits: float) -> LevelTable:
    """Levels of primes of their own: each level drops what it has and the one below has not.

    From the top down, each level makes up for what the scale is off by: since a level squares the
    scale, the error would double at every level. The scale is followed exactly, because an error of
    rounding would double too.

    Raises:
        ValueError: when so few primes are left that the scale drifts.
    """
    moduli: tuple[int, ...] = ()
    sizes: list[int] = []
    scales = [Scale.of(2.0**scale_bits)]
    for bits in level_bits:
        sizes.insert(0, len(split_bits(bits)))
        wished = sum(split_bits(bits)) + 2 * (scales[0].bits - scale_bits)
        level = primes_of_product(ring, wished, sizes[0], moduli)
        moduli = level + moduli
        scales.insert(0, scales[0] * scales[0] / math.prod(level))
        _check_drift(scales[0].bits - scale_bits, bits, len(sizes), ring)
    base = split_bits(base_bits)
    moduli = primes_of_product(ring, sum(base), len(base), moduli) + moduli
    ends = itertools.accumulate([len(base), *sizes])
    return LevelTable(moduli, tuple(tuple(range(end)) for end in ends), tuple(scales))


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


def rational_chain(ring: Ring, depth: int, scale_bits: int, base_bits: int | None = None) -> LevelTable:
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
    if scale_bits not in RATIONAL_BITS:
        raise ValueError(
            f"rational rescaling was asked for with a scale of {scale_bits} bits; it exists for "
            f"{RATIONAL_BITS}. Smaller scales take one prime a level, larger ones two."
        )
    counts = _prime_counts(depth, scale_bits, base_bits)
    most, fewest = (max(pair[i] for pair in counts) for i in (0, 1))
    share = 1 - _SPREAD_BITS / PRIME_BITS
    small = ntt_primes(25 * share, ring.root_order, fewest)
    large = ntt_primes(30 * share, ring.root_order, most, small) if most else ()
    moduli = small + large
    levels = tuple(tuple(range(fewest - t, fewest + m)) for m, t in counts)
    return LevelTable(moduli, levels, _scales_from_the_bottom(moduli, levels, scale_bits * share))


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
