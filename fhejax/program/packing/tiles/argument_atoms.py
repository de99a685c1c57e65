"""Arguments as forms: which axis runs along which of their dimensions, by how many entries.

An image that a convolution by an encrypted kernel reads comes as patches: the entry of row
stride p + dilation k - padding lies at position p and tap k, so that two axes run along one dimension. The
client lays it so, and neither the convolution nor its gradient moves anything.
"""

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
        ValueError: two axes of one name, or a dimension of axes that leave gaps in it.
    """
    operation = graph.operations[place]
    assert isinstance(operation, Argument)
    described = graph.arguments[operation.argument]
    assert isinstance(described, Encrypted)
    held, starts = normalisation(described), [0] * len(operation.shape)
    patches = graph.operations[axes.patches[place]] if place in axes.patches else None
    centre = number(held.centre)
    if isinstance(patches, Patches):
        names = axes.of[axes.patches[place]]
        steps = list(_patch_steps(forms, operation, patches, names))
        lead = len(patches.order) - len(patches.windows.sizes)
        windowed = frozenset(name for dimension in names[lead:] for name in dimension)
        for axis, (low, _) in zip(patches.order[lead:], patches.windows.padding, strict=True):
            starts[axis] = -low
        if held.centre:
            centre = forms.plain(*_inside(operation, patches, names)).times(held.centre)
    else:
        rows = enumerate(axes.of[place])
        steps = [step for d, own in rows for step in _steps(forms, operation, own, d, 1)]
        windowed = frozenset()
    own = tuple(axis for axis, _ in steps)
    if len(set(own)) < len(own):
        raise ValueError(
            f"argument {operation.argument} has two axes that run along together, such as those of a weight "
            f"between layers of the same axis, which packing='tiles' cannot tell apart."
        )
    along = tuple(step for _, step in steps)
    atom = ArgumentAtom(operation.argument, own, str(operation.label), along, tuple(starts), windowed)
    form = forms.of_atom(("argument", operation.argument), atom).times(held.unit)
    return forms.added([(form, 1.0), (centre, 1.0)])


def _steps(
    forms: Forms, operation: Argument, axes: Sequence[int], dimension: int, unit: int
) -> Iterator[_Step]:
    """The steps of the axes that one dimension, or the taps or positions along it, is made of."""
    sizes = [forms.sizes[axis] for axis in axes]
    for place, axis in enumerate(axes):
        if place and sizes[place] & (sizes[place] - 1):
            raise ValueError(
                f"dimension {dimension} of argument {operation.argument} joins axes of {sizes} entries, and "
                f"with packing='tiles' all of them but the first have to be powers of two; choose such "
                f"channels and positions, or keep axes apart, by an array of a dimension for each and "
                f"jnp.einsum."
            )
        yield axis, (dimension, unit * int(np.prod(sizes[place + 1 :])))


def _check_all_read(
    operation: Argument, dimension: int, counts: tuple[int, int], units: tuple[int, int], padding: int
) -> None:
    """Refuse images of which no patch has some row, not even one beyond those that are asked for.

    Raises:
        ValueError: with the first such row.
    """
    taps, positions = (unit * np.arange(1 << width_of(n)) for n, unit in zip(counts, units, strict=True))
    read = set((taps[:, None] + positions - padding).ravel().tolist())
    missing = [row for row in range(operation.shape[dimension]) if row not in read]
    if missing:
        raise ValueError(
            f"index {missing[0]} along dimension {dimension} of argument {operation.argument} is one that no "
            f"window reads, and with packing='tiles' images come as what windows read; crop the images, or "
            f"take smaller strides."
        )


def _patch_steps(forms: Forms, operation: Argument, patches: Patches, names: Names) -> Iterator[_Step]:
    """The steps of an argument's axes where it comes as patches."""
    windows = patches.windows
    lead, spatial = len(patches.order) - len(windows.sizes), len(windows.sizes)
    units = (1,) * lead + windows.window_dilation + windows.strides
    dimensions = patches.order + patches.order[lead:]
    assert len(names) == lead + 2 * spatial
    for place, dimension in enumerate(patches.order[lead:]):
        pair = windows.sizes[place], patches.shape[lead + spatial + place]
        _check_all_read(
            operation,
            dimension,
            pair,
            (units[lead + place], units[lead + spatial + place]),
            windows.padding[place][0],
        )
    for own, dimension, unit in zip(names, dimensions, units, strict=True):
        yield from _steps(forms, operation, own, dimension, unit)


def _inside(operation: Argument, patches: Patches, names: Names) -> tuple[np.ndarray, Names]:
    """One where a window reads an entry, and zero in the padding; with the names of its dimensions."""
    lead = len(patches.order) - len(patches.windows.sizes)
    image = np.ones([operation.shape[axis] for axis in patches.order[lead:]])
    found, _ = sliding_windows(image, 0.0, patches.windows)
    return found.reshape(patches.shape[lead:]), names[lead:]
