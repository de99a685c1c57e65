"""Whether every entry of an array lies somewhere."""

import math
from collections.abc import Iterable

import numpy as np

from fhejax.program.packing.layout.canonical import Form
from fhejax.program.packing.layout.digit import Digit


def missing_entries(form: Form) -> tuple[tuple[int, ...], int]:
    """(axes, how many of the entries over these axes lie nowhere), of the first axes that lack any.

    Axes that no digit moves together are looked at apart: the positions themselves may be billions.
    """
    for axes in _axes_together(form):
        needed = math.prod(form.shape[axis] for axis in axes)
        held = len(_entries_over(form, axes))
        if held < needed:
            return axes, needed - held
    return (), 0


def _axes_together(form: Form) -> list[tuple[int, ...]]:
    groups = [{axis} for axis in range(len(form.shape))]
    for digit in form.digits:
        moved = {axis for axis, _ in digit.steps}
        touched = [group for group in groups if group & moved]
        if len(touched) > 1:
            groups = [group for group in groups if not group & moved] + [set().union(*touched)]
    return sorted(tuple(sorted(group)) for group in groups)


def _entries_over(form: Form, axes: tuple[int, ...]) -> np.ndarray:
    """The entries that lie somewhere, int64 [entry], numbered over some axes."""
    ranges = [form.range(axis) for axis in axes]
    sizes = [high - low + 1 for low, high in ranges]
    strides = [math.prod(sizes[number + 1 :]) for number in range(len(axes))]
    sums = np.array([sum((form.offset[a] - r[0]) * s for a, r, s in zip(axes, ranges, strides, strict=True))])
    for digit in _of_axes(form, axes):
        step = sum(digit.step(axis) * stride for axis, stride in zip(axes, strides, strict=True))
        sums = np.unique(sums[:, None] + step * np.arange(digit.size))
    return _numbered(form, axes, sums, ranges, sizes)


def _of_axes(form: Form, axes: tuple[int, ...]) -> Iterable[Digit]:
    return (digit for digit in form.digits if any(digit.step(axis) for axis in axes))


def _numbered(
    form: Form, axes: tuple[int, ...], sums: np.ndarray, ranges: list[tuple[int, int]], sizes: list[int]
) -> np.ndarray:
    inside, number = np.ones(sums.shape, bool), np.zeros(sums.shape, np.int64)
    for axis, (low, _), index in zip(axes, ranges, np.unravel_index(sums, sizes), strict=True):
        index = index + low
        index = index % form.wrap[axis] if form.wrap[axis] else index
        inside &= (index >= 0) & (index < form.shape[axis])
        number = number * form.shape[axis] + index
    return np.unique(number[inside])
