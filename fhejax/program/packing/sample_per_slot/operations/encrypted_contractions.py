"""Contractions of two encrypted arrays: sums of products of ciphertexts.

Each operand may lie in the slots along one axis (its batch axis) or hold one value for all samples. A
contraction over the batch axis is a product in every slot, and then a sum of slots.
"""

import dataclasses

import numpy as np

from fhejax.program.circuit.nodes import InnerProduct
from fhejax.program.circuit.views import Builder, View, in_node_order, without_dead_entries
from fhejax.program.packing.sample_per_slot.batch_axis import at_batch, single_sample
from fhejax.program.packing.sample_per_slot.batch_sums import slot_sum
from fhejax.program.packing.sample_per_slot.operations.product import scaled
from fhejax.program.packing.sample_per_slot.units import unit_of_weights

Numbers = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Operand:
    """The entries [group, free, k] of a node to which a shift is added, and a factor [group, free]."""

    node: int
    entries: np.ndarray
    shift: np.ndarray | None
    factor: np.ndarray
    varies: bool


def dot_general_of_encrypted(builder: Builder, x: View, y: View, numbers: Numbers) -> View:
    """The contraction lax.dot_general of two encrypted arrays, at the depth of one product.

    Args:
        builder: that collects nodes.
        x: the first operand.
        y: the second.
        numbers: dot_general's dimension numbers.

    Raises:
        ValueError: when the samples of one operand meet other axes of the other.
    """
    if x.batch == 1:
        x, y = (single_sample(t) if t.batch_axis is not None else t for t in (x, y))
    x, y = _matched(x, y, numbers), _matched(y, x, _swapped(numbers))
    (x_sum, y_sum), (x_group, y_group) = numbers
    x_free, y_free = _free(x, x_sum, x_group), _free(y, y_sum, y_group)
    product = _inner_product_view(
        builder,
        x,
        _operand(builder, _grouped_axes(x, x_group, x_free, x_sum)),
        _operand(builder, _grouped_axes(y, y_group, y_free, y_sum)),
    )
    shape = [x.shape[d] for d in (*x_group, *x_free)] + [y.shape[d] for d in y_free]
    return _ungrouped(builder, product, _place(x, y, numbers, x_free, y_free), shape)


def _swapped(numbers: Numbers) -> Numbers:
    (x_sum, y_sum), (x_group, y_group) = numbers
    return (y_sum, x_sum), (y_group, x_group)


def _free(tensor: View, summed: tuple[int, ...], grouped: tuple[int, ...]) -> list[int]:
    return [d for d in range(len(tensor.shape)) if d not in summed and d not in grouped]


def _matched(x: View, y: View, numbers: Numbers) -> View:
    """The view x, with its batch axis where y's samples meet it.

    Raises:
        ValueError: when they meet something else.
    """
    for own, other in numbers:
        if y.batch_axis in other:
            axis = own[other.index(y.batch_axis)]
            if x.batch_axis is None:
                return at_batch(x, axis)
            if x.batch_axis == axis:
                return x
    if x.batch_axis is not None and y.batch_axis is not None and not _meets(x, y, numbers):
        raise ValueError(
            "a matrix product of two encrypted arrays in which the samples of one meet another axis of the "
            "other; each sample lies in a slot of its own, so only the same samples can meet"
        )
    return x


def _meets(x: View, y: View, numbers: Numbers) -> bool:
    pairs = [pair for own, other in numbers for pair in zip(own, other, strict=True)]
    return (x.batch_axis, y.batch_axis) in pairs


def _grouped_axes(tensor: View, group: tuple[int, ...], free: list[int], summed: tuple[int, ...]) -> View:
    """The view with arrays [group, free, k], without the batch axis."""
    axis = tensor.batch_axis
    parts = (group, free, summed)
    kept = [[d if axis is None or d < axis else d - 1 for d in axes if d != axis] for axes in parts]
    order = [d for axes in kept for d in axes]
    shape = [int(np.prod([tensor.entries.shape[d] for d in axes], dtype=np.int64)) for axes in kept]
    return tensor.view(lambda a: a.transpose(order).reshape(shape))


def _operand(builder: Builder, tensor: View) -> _Operand:
    """The view as entries of a node; factors that differ within a sum, and offsets, go into the node."""
    tensor = without_dead_entries(tensor)
    alive = tensor.entries >= 0
    factor = np.take_along_axis(tensor.multiplier, alive.argmax(2)[..., None], 2)
    differ = bool((alive & (tensor.multiplier != factor)).any())
    if builder.decided(lambda: differ or (tensor.varies and bool(tensor.offset.any()))) or differ:
        unit = builder.decided(lambda: unit_of_weights(tensor.multiplier))
        tensor, factor = scaled(builder, tensor, unit), np.full(factor.shape, unit)
    shift = None
    if tensor.offset.any():
        tensor, _ = builder.arranged(dataclasses.replace(tensor, offset=tensor.offset / factor))
        shift = in_node_order(tensor, tensor.offset)
    return _Operand(tensor.node, tensor.entries.astype(np.int32), shift, factor[..., 0], tensor.varies)


def _inner_product_view(builder: Builder, like: View, x: _Operand, y: _Operand) -> View:
    """The sum over k of x[g, i, k] y[g, j, k] as a view with arrays [g, i, j]."""
    groups, rows, length = x.entries.shape
    columns = y.entries.shape[1]
    shape = (groups, rows, columns, length)
    first = np.broadcast_to(x.entries[:, :, None], shape).reshape(-1, length)
    second = np.broadcast_to(y.entries[:, None], shape).reshape(-1, length)
    node = InnerProduct((x.node, y.node), (x.shift, y.shift), (first, second), builder.label)
    product = builder.fresh(node, like, shape[:3])
    factor = x.factor[:, :, None] * y.factor[:, None]
    return dataclasses.replace(product, multiplier=factor, varies=x.varies or y.varies)


def _place(x: View, y: View, numbers: Numbers, x_free: list[int], y_free: list[int]) -> int | None:
    """The axis of the result in which the samples lie; -1 where the contraction sums them."""
    (x_sum, y_sum), (x_group, y_group) = numbers
    if x.batch_axis in x_sum or y.batch_axis in y_sum:
        return -1
    if x.batch_axis in x_group:
        return x_group.index(x.batch_axis)
    if x.batch_axis is not None:
        return len(x_group) + x_free.index(x.batch_axis)
    return None if y.batch_axis is None else len(y_group) + len(x_free) + y_free.index(y.batch_axis)


def _ungrouped(builder: Builder, product: View, place: int | None, shape: list[int]) -> View:
    """The result in dot_general's shape, its samples where they belong or summed."""
    if place is None:
        return product.view(lambda a: a.reshape(shape), batch_axis=None)
    if place < 0:
        return slot_sum(builder, product.view(lambda a: a.reshape(shape), batch_axis=0))
    reduced = [s for d, s in enumerate(shape) if d != place]
    return product.view(lambda a: a.reshape(reduced), batch_axis=place)
