"""Reshapes that leave the ciphertexts as they are: axes merged and split where their digits allow it."""

import math
from collections.abc import Sequence

from fhejax.program.packing.layout.alignment import NotAlignedError
from fhejax.program.packing.layout.canonical import reach
from fhejax.program.packing.layout.digit import Digit
from fhejax.program.packing.layout.layout import Layout


def reshape(layout: Layout, shape: Sequence[int]) -> Layout:
    """The layout of `x.reshape(shape)`, entries in row-major order.

    Raises:
        NotAlignedError: where axes with empty positions would be merged, or digits straddle a new axis.
        ValueError: another number of entries.
    """
    shape = tuple(shape)
    if math.prod(shape) != math.prod(layout.shape) or any(length < 1 for length in shape):
        raise ValueError(
            f"an array of shape {layout.shape} was to be reshaped to {shape}; it has "
            f"{math.prod(layout.shape)} entries."
        )
    layout = _without_unit_axes(layout)
    wanted = tuple(length for length in shape if length > 1)
    axis = 0
    for old, new in _blocks(layout.shape, wanted):
        if old != new:
            for _ in old[1:]:
                layout = _merged(layout, axis)
            for length in reversed(new[1:]):
                layout = _split(layout, axis, length)
        axis += len(new)
    return _with_unit_axes(layout, shape)


def _blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Runs of old and new axes, as short as they can be, of equally many entries."""
    blocks, start, first = [], 0, 0
    for stop in range(1, len(old) + 1):
        for last in range(first + 1, len(new) + 1):
            if math.prod(old[start:stop]) == math.prod(new[first:last]):
                blocks.append((old[start:stop], new[first:last]))
                start, first = stop, last
                break
    return blocks


def _without_unit_axes(layout: Layout) -> Layout:
    kept = [axis for axis, length in enumerate(layout.shape) if length > 1]
    places = {axis: place for place, axis in enumerate(kept)}
    moved = {axis for digit in layout.digits for axis, _ in digit.steps}
    if moved - set(kept):
        raise NotAlignedError(
            f"an axis of length 1 in shape {layout.shape} was to be dropped, and some positions hold nothing "
            f"because their index on it is not 0. Repack."
        )
    return _renumbered(layout, places, tuple(layout.shape[axis] for axis in kept))


def _with_unit_axes(layout: Layout, shape: tuple[int, ...]) -> Layout:
    longer = [axis for axis, length in enumerate(shape) if length > 1]
    return _renumbered(layout, dict(enumerate(longer)), shape)


def _renumbered(layout: Layout, places: dict[int, int], shape: tuple[int, ...]) -> Layout:
    """Each axis at its new place; axes of length 1 that have none are gone, or come new."""
    groups = [
        tuple(Digit(d.size, tuple((places[a], s) for a, s in d.steps), d.only) for d in group)
        for group in layout.form.groups
    ]
    offset, wrap = [0] * len(shape), [0] * len(shape)
    for old, new in places.items():
        offset[new], wrap[new] = layout.offset[old], layout.wrap[old]
    return _layout(shape, groups, offset, wrap)


def _merged(layout: Layout, axis: int) -> Layout:
    """Axes `axis` and the next as one."""
    length = layout.shape[axis + 1]
    low, high = layout.form.range(axis + 1)
    if layout.wrap[axis + 1] or low < 0 or high >= length:
        modulo = f", modulo {layout.wrap[axis + 1]}" if layout.wrap[axis + 1] else ""
        raise NotAlignedError(
            f"axes {axis} and {axis + 1} of an array of shape {layout.shape} were to be merged, and along "
            f"the second positions lead from index {low} to {high}{modulo}: what lies beyond its end would "
            f"be taken for the next row. Contract over both axes, or repack."
        )
    groups = [tuple(_with_merged_steps(digit, axis, length) for digit in g) for g in layout.form.groups]

    def joined(values: tuple[int, ...]) -> tuple[int, ...]:
        return (*values[:axis], values[axis] * length + values[axis + 1], *values[axis + 2 :])

    shape = (*layout.shape[:axis], layout.shape[axis] * length, *layout.shape[axis + 2 :])
    return _layout(shape, groups, joined(layout.offset), joined(layout.wrap))


def _with_merged_steps(digit: Digit, axis: int, length: int) -> Digit:
    joined = digit.step(axis) * length + digit.step(axis + 1)
    before = [(a, s) for a, s in digit.steps if a < axis]
    after = [(a - 1, s) for a, s in digit.steps if a > axis + 1]
    return Digit(digit.size, (*before, (axis, joined), *after), digit.only)


def _split(layout: Layout, axis: int, length: int) -> Layout:
    """One axis as two, of which the second has `length` indices."""
    groups = [
        tuple(part for digit in group for part in _split_digit(digit, axis, length))
        for group in layout.form.groups
    ]
    high, low = divmod(layout.offset[axis], length)
    inner = [digit for group in groups for digit in group if digit.step(axis) % length]
    least = low + sum(reach(digit.step(axis), digit.size)[0] for digit in inner)
    most = low + sum(reach(digit.step(axis), digit.size)[1] for digit in inner)
    if least < 0 or most >= length or layout.wrap[axis] % length:
        raise NotAlignedError(
            f"axis {axis} of an array of shape {layout.shape} was to be split into rows of {length}, and the "
            f"digits along it do not end where a row does: within one they lead from {least} to {most}. "
            f"Repack, with digits whose sizes multiply to {length}."
        )
    changed = [tuple(_with_split_steps(digit, axis, length) for digit in group) for group in groups]

    def parted(values: tuple[int, ...], first: int, second: int) -> tuple[int, ...]:
        return (*values[:axis], first, second, *values[axis + 1 :])

    return _layout(
        parted(layout.shape, layout.shape[axis] // length, length),
        changed,
        parted(layout.offset, high, low),
        parted(layout.wrap, layout.wrap[axis] // length, 0),
    )


def _split_digit(digit: Digit, axis: int, length: int) -> tuple[Digit, ...]:
    step = abs(digit.step(axis))
    if not step or length % step:
        return (digit,)
    size = length // step
    return digit.split(size) if 1 < size < digit.size and digit.size % size == 0 else (digit,)


def _with_split_steps(digit: Digit, axis: int, length: int) -> Digit:
    step = digit.step(axis)
    inner = bool(step % length)
    others = [(a + (a > axis), s) for a, s in digit.steps if a != axis]
    return Digit(digit.size, (*others, (axis + inner, step if inner else step // length)), digit.only)


def _layout(shape: Sequence[int], groups: Sequence, offset: Sequence[int], wrap: Sequence[int]) -> Layout:
    ciphertexts, parts, slots = groups
    return Layout(
        tuple(shape),
        slots,
        ciphertexts=ciphertexts,
        parts=parts,
        offset=tuple(offset),
        wrap=tuple(wrap),
    )
