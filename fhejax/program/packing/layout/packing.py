"""What a layout means: which entry lies at each position; arrays laid out, and read back."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from fhejax.program.packing.layout.layout import Layout


@functools.lru_cache(maxsize=64)
def entries(layout: Layout) -> np.ndarray:
    """The number of the entry at each position, int64 [ciphertext, part, slot]; -1 where none lies.

    Read-only. Entries are numbered in the order of `array.ravel()`.
    """
    number, inside = np.zeros(_sizes(layout), np.int64), _held(layout)
    for axis, length in enumerate(layout.shape):
        index = _grid(layout, [digit.step(axis) for digit in layout.digits]) + layout.offset[axis]
        index = index % layout.wrap[axis] if layout.wrap[axis] else index
        inside = inside & (index >= 0) & (index < length)
        number = number * length + index
    counts = layout.ciphertext_count, layout.part_count, layout.slot_count
    found = np.where(inside, number, -1).reshape(counts)
    found.flags.writeable = False
    return found


def indices(layout: Layout) -> np.ndarray:
    """The index of the entry at each position, int64 [ciphertext, part, slot, axis]; -1 where none lies.

    This is the definition of a layout, by which everything else about one is tested.
    """
    found = entries(layout)
    index = np.stack(np.unravel_index(np.maximum(found, 0), layout.shape), -1) if layout.shape else None
    if index is None:
        return np.zeros((*found.shape, 0), np.int64)
    return np.where(found[..., None] < 0, -1, index)


def positions(layout: Layout) -> np.ndarray:
    """Where the copies of each entry lie, int64 [entry, copy], as numbers of `entries(layout).ravel()`.

    -1 fills up where one entry has fewer copies than another.
    """
    found = entries(layout).ravel()
    order = np.argsort(found, kind="stable")
    order = order[np.searchsorted(found[order], 0) :]
    owners = found[order]
    starts = np.searchsorted(owners, np.arange(math.prod(layout.shape)))
    rank = np.arange(len(owners)) - starts[owners]
    table = np.full((math.prod(layout.shape), int(rank.max()) + 1), -1, np.int64)
    table[owners, rank] = order
    return table


def pack(layout: Layout, array: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """The slots of each ciphertext, [ciphertext, slot], complex where the layout has two parts.

    Args:
        layout: of the array.
        array: real numbers, of the layout's shape.
        fill: what empty positions hold.

    Raises:
        ValueError: another shape, or complex numbers.
    """
    array = np.asarray(array)
    if array.shape != layout.shape or np.iscomplexobj(array):
        raise ValueError(
            f"an array of shape {array.shape} and dtype {array.dtype} was to be packed in a layout of shape "
            f"{layout.shape}; give real numbers of the layout's shape."
        )
    found = entries(layout)
    held = np.where(found < 0, fill, array.ravel()[np.maximum(found, 0)])
    return held[:, 0] if layout.part_count == 1 else held[:, 0] + 1j * held[:, 1]


def unpack(layout: Layout, slots: np.ndarray) -> np.ndarray:
    """The array, float64 of the layout's shape, whose entries are read at the first of their copies.

    Args:
        layout: of the array.
        slots: [ciphertext, slot], as `pack` makes them.

    Raises:
        ValueError: another number of ciphertexts or slots.
    """
    slots = np.asarray(slots)
    if slots.shape != (layout.ciphertext_count, layout.slot_count):
        raise ValueError(
            f"slots of shape {slots.shape} were to be unpacked; the layout has {layout.ciphertext_count} "
            f"ciphertexts of {layout.slot_count} slots."
        )
    parts = [np.real(slots), np.imag(slots)][: layout.part_count]
    return np.stack(parts, 1).ravel()[first_positions(layout)].reshape(layout.shape)


def first_positions(layout: Layout) -> np.ndarray:
    """Where the first copy of each entry lies, int64 [entry]."""
    found = entries(layout).ravel()
    first = np.zeros(math.prod(layout.shape), np.int64)
    held = np.flatnonzero(found >= 0)[::-1]
    first[found[held]] = held  # the last one written is the first one there is
    return first


def _sizes(layout: Layout) -> tuple[int, ...]:
    return tuple(digit.size for digit in layout.digits)


def _grid(layout: Layout, steps: Sequence[int]) -> np.ndarray:
    """The sum of step times value of the digits, at each of their values: one axis for each digit."""
    total = np.zeros((1,) * len(steps), np.int64)
    for place, (digit, step) in enumerate(zip(layout.digits, steps, strict=True)):
        if step:
            total = total + _aligned(step * np.arange(digit.size), place, len(steps))
    return total


def _held(layout: Layout) -> np.ndarray:
    """Whether the digits hold anything at each of their values."""
    held = np.ones((1,) * len(layout.digits), bool)
    for place, digit in enumerate(layout.digits):
        if digit.only is not None:
            held = held & _aligned(np.arange(digit.size) == digit.only, place, len(layout.digits))
    return held


def _aligned(values: np.ndarray, place: int, count: int) -> np.ndarray:
    return values.reshape((1,) * place + (-1,) + (1,) * (count - place - 1))
