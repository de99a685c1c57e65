"""Random layouts for the tests, and what brute force says of them."""

import math

import hypothesis.strategies as st
import numpy as np

from fhejax.program.packing.layout import Digit, Layout, entries

LARGEST = 2**10  # positions of a layout


@st.composite
def layouts(draw, parts=True, wraps=True, across=True, max_axes=3, sums=False):
    """Axes of any length, each cut into digits; copies, gaps and shifted copies between them."""
    lengths = st.integers(1, 7) | st.sampled_from([8, 13])
    shape = tuple(draw(st.lists(lengths, min_size=1, max_size=max_axes)))
    slots, ciphertexts, offset, wrap = [], [], [], []
    for axis, length in enumerate(shape):
        sign = draw(st.sampled_from([1, 1, -1]))
        size = 2 ** math.ceil(math.log2(length))
        low = draw(st.sampled_from([1, 2, size])) if size > 1 else 1
        offset.append(0 if sign > 0 else length - 1)
        wrap.append(0)
        extent = size
        digits = [Digit(size // low, ((axis, sign * low),)), Digit(low, ((axis, sign),))]
        if across and draw(st.booleans()):
            ciphertexts.append(Digit(-(-length // low), ((axis, sign * low),)))
            extent, digits = -(-length // low) * low, digits[1:]
        slots += digits
        if wraps and draw(st.integers(0, 3)) == 0:  # as far as the digits reach: shifted
            wrap[axis] = extent
            offset[axis] += draw(st.integers(0, extent))
            if not sums:
                slots.append(Digit(2, ((axis, draw(st.integers(0, extent))),)))
    for _ in range(draw(st.integers(0, 3))):
        slots.append(draw(st.sampled_from([Digit(2), Digit(4), Digit(2, (), 0), Digit(2, (), 1)])))
    slots = draw(st.permutations(slots))
    if math.prod(d.size for d in slots + ciphertexts) > LARGEST:
        return draw(layouts(parts, wraps, across, max(1, max_axes - 1), sums))
    two = [Digit(2)] if parts and draw(st.integers(0, 4)) == 0 else []
    return Layout(
        shape,
        tuple(slots),
        ciphertexts=tuple(draw(st.permutations(ciphertexts))),
        parts=tuple(two),
        offset=tuple(offset),
        wrap=tuple(wrap),
    )


def brute_force_indices(layout: Layout) -> np.ndarray:
    """The definition, position by position."""
    digits = layout.digits
    rows = []
    for values in np.ndindex(*(digit.size for digit in digits)):
        index = list(layout.offset)
        for digit, value in zip(digits, values, strict=True):
            for axis, step in digit.steps:
                index[axis] += step * value
        index = [i % m if m else i for i, m in zip(index, layout.wrap, strict=True)]
        empty = any(d.only not in (None, v) for d, v in zip(digits, values, strict=True))
        empty |= any(not 0 <= i < n for i, n in zip(index, layout.shape, strict=True))
        rows.append([-1] * len(index) if empty else index)
    counts = layout.ciphertext_count, layout.part_count, layout.slot_count
    return np.array(rows, int).reshape(*counts, len(layout.shape))


def numbered(layout: Layout) -> np.ndarray:
    """An array whose entries tell themselves apart, none of them zero."""
    return np.arange(1.0, 1 + math.prod(layout.shape)).reshape(layout.shape)


def taken(layout: Layout, array: np.ndarray, empty: float = -1.0) -> np.ndarray:
    """What the positions hold if each empty one holds a given number: [ciphertext, part, slot]."""
    found = entries(layout)
    return np.where(found < 0, empty, array.ravel()[np.maximum(found, 0)])
