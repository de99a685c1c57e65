"""Rearrangements of an array that leave its ciphertexts as they are: the layout alone becomes another.

`reshape` and `broadcast` have files of their own. What empty positions hold stays what it was; where an entry
of a result is a padding it must be zero: see `pad`.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

from fhejax.program.packing.layout.alignment import NotAlignedError, axis_of
from fhejax.program.packing.layout.canonical import Form, replaced_at
from fhejax.program.packing.layout.coverage import missing_entries
from fhejax.program.packing.layout.digit import Digit
from fhejax.program.packing.layout.layout import Layout


def transpose(layout: Layout, axes: Sequence[int]) -> Layout:
    """The layout of `jnp.transpose(x, axes)`: axis k of the result is axis axes[k] of x. Always free.

    Raises:
        ValueError: axes that are no permutation.
    """
    if sorted(axes) != list(range(len(layout.shape))):
        raise ValueError(f"axes {tuple(axes)} of an array of shape {layout.shape} are no permutation of all.")
    places = {old: new for new, old in enumerate(axes)}

    def moved(digit: Digit) -> Digit:
        return dataclasses.replace(digit, steps=tuple((places[axis], step) for axis, step in digit.steps))

    taken = (tuple(values[axis] for axis in axes) for values in (layout.shape, layout.offset, layout.wrap))
    shape, offset, wrap = taken
    return _with_digits(layout, moved).made(shape, offset, wrap)


def reverse(layout: Layout, axis: int) -> Layout:
    """The layout of `jnp.flip(x, axis)`. Always free.

    Raises:
        ValueError: an axis that is not there.
    """
    axis = axis_of(axis, layout.shape)
    changed = _with_steps(layout, axis, lambda step: -step)
    return changed.made(offset=replaced_at(layout.offset, axis, layout.shape[axis] - 1 - layout.offset[axis]))


def roll(layout: Layout, shift: int, axis: int) -> Layout:
    """The layout of `jnp.roll(x, shift, axis)`: entry i becomes entry i + shift, modulo the length.

    Raises:
        NotAlignedError: where positions beyond the end of the axis would come to hold entries.
        ValueError: an axis that is not there.
    """
    axis = axis_of(axis, layout.shape)
    length, wrap = layout.shape[axis], layout.wrap[axis]
    low, high = layout.form.range(axis)
    if wrap != length and (wrap or low < 0 or high >= length):
        raise NotAlignedError(
            f"a roll of axis {axis} was asked for, whose {length} indices lie among positions of index {low} "
            f"to {high}: what lies beyond its end would be taken for its start. Repack, with digits of sizes "
            f"that multiply to {length}."
        )
    moved = replaced_at(layout.offset, axis, layout.offset[axis] + shift)
    return layout.replace(offset=moved, wrap=replaced_at(layout.wrap, axis, length))


def pad(layout: Layout, axis: int, before: int, after: int) -> Layout:
    """The layout of x with zeros before and after it on one axis, where empty positions can stand for them.

    These must hold zero: whether they do is known by who knows the values.

    Raises:
        NotAlignedError: where there are not enough empty positions along the axis.
        ValueError: an axis that is not there, or a negative number of zeros.
    """
    axis = axis_of(axis, layout.shape)
    if before < 0 or after < 0:
        raise ValueError(f"{before} and {after} zeros were to be added to an axis; to cut, take a slice.")
    length = layout.shape[axis] + before + after
    shape = replaced_at(layout.shape, axis, length)
    offset = replaced_at(layout.offset, axis, layout.offset[axis] + before)
    low, high = layout.form.range(axis)
    for wrap in dict.fromkeys((layout.wrap[axis], layout.wrap[axis] or high - low + 1)):
        if wrap and wrap < length:
            continue
        form = Form(shape, layout.form.groups, offset, replaced_at(layout.wrap, axis, wrap))
        if not missing_entries(form)[1]:
            return layout.replace(shape=shape, offset=offset, wrap=form.wrap)
    raise NotAlignedError(
        f"{before} zeros before and {after} after the {layout.shape[axis]} indices of axis {axis} were asked "
        f"for, which lie among positions of index {low} to {high}: there are not enough that are empty. "
        f"Repack, with larger digits along this axis."
    )


def strided_slice(
    layout: Layout, starts: Sequence[int], limits: Sequence[int], strides: Sequence[int] | None = None
) -> Layout:
    """The layout of `jax.lax.slice(x, starts, limits, strides)`.

    Raises:
        NotAlignedError: where no digit tells the indices that are taken from the others.
        ValueError: an empty slice, one beyond the shape, or as many numbers as there are no axes.
    """
    strides = (1,) * len(layout.shape) if strides is None else strides
    if not len(starts) == len(limits) == len(strides) == len(layout.shape):
        raise ValueError(f"a slice of {len(starts)} axes of an array of shape {layout.shape} was asked for.")
    for axis, (start, limit, stride) in enumerate(zip(starts, limits, strides, strict=True)):
        if not 0 <= start < limit <= layout.shape[axis] or stride < 1:
            raise ValueError(
                f"indices {start} to {limit} in steps of {stride} of axis {axis} of an array of shape "
                f"{layout.shape} were asked for; some of them must be there, and the step be 1 or more."
            )
        layout = _slice_of_axis(layout, axis, start, limit, stride)
    return layout


def _slice_of_axis(layout: Layout, axis: int, start: int, limit: int, stride: int) -> Layout:
    count = (limit - 1 - start) // stride + 1
    groups = tuple(
        tuple(part for digit in group for part in _by_residue(digit, axis, stride))
        for group in layout.form.groups
    )
    first = layout.offset[axis] - start
    chosen = _only_values(groups, axis, first, stride, layout.wrap[axis])
    offset, changed = first, []
    numbers = iter(chosen)
    for group in groups:
        digits = []
        for digit in group:
            step = digit.step(axis)
            only = next(numbers) if step % stride else digit.only
            offset += step * only if step % stride and only is not None else 0
            digits.append(_with_step(digit, axis, 0 if step % stride else step // stride, only))
        changed.append(tuple(digits))
    return _Changed(layout, tuple(changed)).made(
        replaced_at(layout.shape, axis, count),
        replaced_at(layout.offset, axis, offset // stride),
        replaced_at(layout.wrap, axis, layout.wrap[axis] // stride),
    )


def _by_residue(digit: Digit, axis: int, stride: int) -> tuple[Digit, ...]:
    """The digit in two, of which the low one alone changes the index modulo the stride, where it can be."""
    step = digit.step(axis)
    if step % stride == 0:
        return (digit,)
    size = stride // math.gcd(step, stride)
    return (digit,) if digit.size % size or digit.size == size else digit.split(size)


def _only_values(
    groups: tuple[tuple[Digit, ...], ...], axis: int, first: int, stride: int, wrap: int
) -> tuple[int, ...]:
    """The one value of each digit that changes the index modulo the stride."""
    digits = [digit for group in groups for digit in group if digit.step(axis) % stride]
    values = itertools.product(*(range(digit.size) for digit in digits))
    steps = [digit.step(axis) for digit in digits]
    right = [v for v in values if not (first + sum(map(math.prod, zip(v, steps, strict=True)))) % stride]
    if len(right) != 1 or wrap % stride:
        sizes = [digit.size for digit in digits]
        raise NotAlignedError(
            f"every {stride}th index of axis {axis} was asked for, which {len(right)} combinations of values "
            f"of digits of sizes {sizes} hold: they have to be one. Repack, with a digit of size {stride} "
            f"for the indices that are left out."
        )
    return right[0]


@dataclasses.dataclass(frozen=True)
class _Changed:
    """A layout with other digits, before its axes are changed with them."""

    layout: Layout
    groups: tuple[tuple[Digit, ...], ...]

    def made(
        self,
        shape: tuple[int, ...] | None = None,
        offset: tuple[int, ...] | None = None,
        wrap: tuple[int, ...] | None = None,
    ) -> Layout:
        ciphertexts, parts, slots = self.groups
        return Layout(
            self.layout.shape if shape is None else shape,
            slots,
            ciphertexts=ciphertexts,
            parts=parts,
            offset=self.layout.offset if offset is None else offset,
            wrap=self.layout.wrap if wrap is None else wrap,
        )


def _with_digits(layout: Layout, change: Callable[[Digit], Digit]) -> _Changed:
    return _Changed(layout, tuple(tuple(map(change, group)) for group in layout.form.groups))


def _with_steps(layout: Layout, axis: int, change: Callable[[int], int]) -> _Changed:
    return _with_digits(layout, lambda digit: _with_step(digit, axis, change(digit.step(axis)), digit.only))


def _with_step(digit: Digit, axis: int, step: int, only: int | None) -> Digit:
    others = tuple(pair for pair in digit.steps if pair[0] != axis)
    return Digit(digit.size, (*others, (axis, step)), only)
