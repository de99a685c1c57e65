"""Intervals of the real line: their type, and the checks of those that a fit is given."""

import itertools
import math
from typing import Any

import numpy as np

from fhejax.approx.checks import real_number, shown

Interval = tuple[float, float]
Intervals = tuple[Interval, ...]

# Inside these bounds the affine map to [-1, 1] neither overflows nor underflows in float32.
LARGEST_END = 1e30
SMALLEST_WIDTH = 1e-30
# Of so narrow an interval, relative to its ends, float64 has a few million points.
SMALLEST_RELATIVE_WIDTH = 1e-9
MOST_INTERVALS = 16


def check_interval(interval: Any) -> tuple[float, float]:
    """The interval as two Python floats a < b.

    Raises:
        TypeError: no pair of real numbers known before tracing.
        ValueError: ends that are not finite, above 1e30 in magnitude, not in increasing order, or less than
            1e-30 or 1e-9 of their size apart.
    """
    try:
        start, stop = interval
    except (TypeError, ValueError):
        raise TypeError(
            f"an interval is a pair (a, b) of real numbers, but {shown(interval)} was given; "
            "pass for example (-8.0, 8.0)."
        ) from None
    start, stop = _real(start, interval), _real(stop, interval)
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise ValueError(
            f"the interval ({start}, {stop}) has an end that is not finite; "
            "a polynomial approximates on a bounded interval, so give two finite ends."
        )
    if start >= stop:
        raise ValueError(f"the interval ({start}, {stop}) is empty or reversed; give its smaller end first.")
    if max(abs(start), abs(stop)) > LARGEST_END or stop - start < SMALLEST_WIDTH:
        raise ValueError(
            f"the interval ({start}, {stop}) cannot be mapped to [-1, 1] in float32: its ends must "
            f"be at most {LARGEST_END:g} in magnitude and at least {SMALLEST_WIDTH:g} apart; "
            "rescale the variable."
        )
    if stop - start < SMALLEST_RELATIVE_WIDTH * max(abs(start), abs(stop)):
        raise ValueError(
            f"the interval ({start}, {stop}) is so narrow that too few floats lie in it: its width is to be "
            f"at least {SMALLEST_RELATIVE_WIDTH:g} of its larger end; widen it, or subtract its middle from "
            "the variable."
        )
    return start, stop


def check_intervals(intervals: Any) -> tuple[tuple[float, float], ...]:
    """The intervals of a fit as sorted pairs of floats.

    Args:
        intervals: one pair (a, b), or a sequence of up to 16 disjoint ones in any order.

    Raises:
        TypeError: as `check_interval`.
        ValueError: as `check_interval` for each; two that touch or overlap, more than 16, or one narrower
            than 1e-9 of what they span.
    """
    if not _is_several(intervals):
        return (check_interval(intervals),)
    if len(intervals) > MOST_INTERVALS:
        raise ValueError(
            f"a fit is on at most {MOST_INTERVALS} intervals, but {len(intervals)} were given; join some."
        )
    pieces = tuple(sorted(check_interval(piece) for piece in intervals))
    for before, after in itertools.pairwise(pieces):
        if before[1] >= after[0]:
            raise ValueError(
                f"the intervals {before} and {after} touch or overlap; give disjoint ones, or their union."
            )
    first, last = check_interval((pieces[0][0], pieces[-1][1]))
    narrowest = min(pieces, key=lambda piece: piece[1] - piece[0])
    if narrowest[1] - narrowest[0] < SMALLEST_RELATIVE_WIDTH * (last - first):
        raise ValueError(
            f"the interval {narrowest} is narrower than {SMALLEST_RELATIVE_WIDTH:g} of all from {first} to "
            f"{last}, too narrow for one polynomial to be fitted on both; widen it or leave it out."
        )
    return pieces


def _is_several(intervals: Any) -> bool:
    """Whether the intervals are a sequence of sequences, be they pairs or not."""

    def is_sequence(value: Any) -> bool:
        return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)

    return is_sequence(intervals) and len(intervals) > 0 and all(map(is_sequence, intervals))


def _real(value: Any, interval: Any) -> float:
    number = real_number(value)
    if number is None:
        raise TypeError(
            f"the ends of an interval are real numbers known before tracing, but {shown(interval)} was "
            "given; pass two Python floats."
        )
    return number
