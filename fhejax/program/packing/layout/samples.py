"""Layouts of several samples in one block of ciphertexts, one after the other in the slots.

Such a layout has one axis more, the first, along which the samples lie.
"""

import math

from fhejax.program.packing.layout.digit import Digit, along
from fhejax.program.packing.layout.layout import Layout


def with_samples(layout: Layout, slots: int) -> Layout:
    """The layout of as many samples as there are periods in so many slots.

    Args:
        layout: of one sample in one period.
        slots: of the ring.
    """
    count = slots // layout.slot_count
    return Layout(
        (count, *layout.shape),
        (along(0, count), *map(_behind, layout.slots)),
        ciphertexts=tuple(map(_behind, layout.ciphertexts)),
        parts=tuple(map(_behind, layout.parts)),
        offset=(0, *layout.offset),
        wrap=(0, *layout.wrap),
    )


def samples_in(layout: Layout, size: int) -> int:
    """The samples in a block of a layout.

    Args:
        layout: of one sample, or of several.
        size: entries of one sample.
    """
    return math.prod(layout.shape) // size


def _behind(digit: Digit) -> Digit:
    return Digit(digit.size, tuple((axis + 1, step) for axis, step in digit.steps), digit.only)
