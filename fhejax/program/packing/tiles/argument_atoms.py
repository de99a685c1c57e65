"""Arguments as forms: which axis runs along which of their dimensions, by how many entries.

An image that a convolution by an encrypted kernel reads comes as patches: the entry of row
stride p + dilation k - padding lies at position p and tap k, so that two axes run along one dimension. The
client lays it so, and neither the convolution nor its gradient moves anything.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, normalisation
from fhejax.program.packing.tiles.axes import NamedAxes
from fhejax.program.packing.tiles.fields import width_of
from fhejax.program.packing.tiles.forms import ArgumentAtom, Form, Forms, number
from fhejax.program.packing.tiles.names import Names
from fhejax.program.tensor.graph import TensorGraph
from fhejax.program.tensor.operations.argument import Argument
from fhejax.program.tensor.operations.rearrangements.patches import Patches
from fhejax.program.tensor.windows import sliding_windows

_Step = tuple[int, tuple[int, int]]  # the name of an axis; its dimension, and the entries between its indices


def argument_form(forms: Forms, graph: TensorGraph, place: int, axes: NamedAxes) -> Form:
    """An argument: its normalised numbers times their unit, around their centre.

    Args:
        forms: to which its atom is added.
        graph: the function.
        place: the number of the argument's operation.
        axes: of the function.

    Raises:
        ValueError: two axes of one name, or entries of an image that no patch has.
    """
    operation = graph.operations[place]
    assert isinstance(operation, Argument)
    described = graph.arguments[operation.argument]
    assert isinstance(described, Encrypted)
    held = normalisation(described)
    centre = number(held.centre)
    patches = graph.operations[axes.patches[place]] if place in axes.patches else None
    if isinstance(patches, Patches):
        names = axes.of[axes.patches[place]]
        atom = _of_patches(forms, operation, patches, names)
        if held.centre:
            centre = forms.plain(*_inside(operation, patches, names)).times(held.centre)
    else:
        shape, steps = _whole(forms, axes.of[place], 0)
        atom = _atom(operation, steps, shape, [0] * len(shape))
    if len(set(atom.axes)) < len(atom.axes):
        raise ValueError(
            f"argument {operation.argument} has two axes that run along together, such as those of a weight "
            f"between layers of the same axis, which packing='tiles' cannot tell apart."
        )
    form = forms.of_atom(("argument", operation.argument), atom).times(held.unit)
    return forms.added([(form, 1.0), (centre, 1.0)])


def _atom(
    operation: Argument,
    steps: Sequence[_Step],
    shape: Sequence[int],
    starts: Sequence[int],
    windowed: frozenset[int] = frozenset(),
) -> ArgumentAtom:
    along = tuple(step for _, step in steps)
    axes, label = tuple(axis for axis, _ in steps), str(operation.label)
    return ArgumentAtom(operation.argument, axes, label, along, tuple(shape), tuple(starts), windowed)


def _whole(forms: Forms, names: Names, first: int) -> tuple[list[int], list[_Step]]:
    """The shape of dimensions of which each axis has one of its own, and the axes' steps.

    Args:
        forms: with the sizes.
        names: of each dimension; those of several are split.
        first: the number of the first dimension of the result.
    """
    shape: list[int] = []
    steps: list[_Step] = []
    for own in names:
        steps += [(axis, (first + len(shape) + place, 1)) for place, axis in enumerate(own)]
        shape += [forms.sizes[axis] for axis in own] or [1]
    return shape, steps


def _of_patches(forms: Forms, operation: Argument, patches: Patches, names: Names) -> ArgumentAtom:
    """An argument that comes as patches, of names [other axes, taps, positions]."""
    windows = patches.windows
    lead = len(patches.order) - len(windows.sizes)
    spatial = len(windows.sizes)
    shape: list[int] = []
    steps: list[_Step] = []
    starts: list[int] = []
    for dimension, size in enumerate(operation.shape):
        place = patches.order.index(dimension)
        if place < lead:
            parts, own = _whole(forms, (names[place],), len(shape))
            steps, shape, starts = steps + own, shape + parts, starts + [0] * len(parts)
            continue
        _check_all_read(operation, dimension, patches)
        for row, unit in (
            (names[place], windows.window_dilation[place - lead]),
            (names[place + spatial], windows.strides[place - lead]),
        ):
            steps += _within(forms, row, len(shape), unit)
        shape.append(size)
        starts.append(-windows.padding[place - lead][0])
    windowed = frozenset(name for own in names[lead:] for name in own)
    return _atom(operation, steps, shape, starts, windowed)


def _within(forms: Forms, axes: Sequence[int], dimension: int, unit: int) -> Iterator[_Step]:
    """The steps of the axes that taps, or positions, are made of, all along one dimension."""
    for place, axis in enumerate(axes):
        yield axis, (dimension, unit * math.prod(forms.sizes[other] for other in axes[place + 1 :]))


def _check_all_read(operation: Argument, dimension: int, patches: Patches) -> None:
    """Refuse images of which no patch has some row, not even one beyond those that are asked for.

    Raises:
        ValueError: with the first such row.
    """
    windows = patches.windows
    spatial = len(windows.sizes)
    place = patches.order.index(dimension) - (len(patches.order) - spatial)
    taps = windows.window_dilation[place] * np.arange(1 << width_of(windows.sizes[place]))
    counts = patches.shape[len(patches.shape) - spatial + place]
    positions = windows.strides[place] * np.arange(1 << width_of(counts))
    read = set((taps[:, None] + positions - windows.padding[place][0]).ravel().tolist())
    missing = [row for row in range(operation.shape[dimension]) if row not in read]
    if missing:
        raise ValueError(
            f"index {missing[0]} along dimension {dimension} of argument {operation.argument} is one that no "
            f"window reads, and with packing='tiles' images come as what windows read; crop the images, or "
            f"take smaller strides."
        )


def _inside(operation: Argument, patches: Patches, names: Names) -> tuple[np.ndarray, Names]:
    """One where a window reads an entry, and zero in the padding; with the names of its dimensions."""
    lead = len(patches.order) - len(patches.windows.sizes)
    image = np.ones([operation.shape[axis] for axis in patches.order[lead:]])
    found, _ = sliding_windows(image, 0.0, patches.windows)
    return found.reshape(patches.shape[lead:]), names[lead:]
