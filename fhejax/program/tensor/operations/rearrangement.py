"""Rules of primitives that only rearrange: they change a view's indices, and cost nothing."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.circuit.nodes import Concatenate
from fhejax.program.circuit.views import Builder, View


def _without(values: Sequence, axis: int | None) -> list:
    """The values, one for each axis, without that of the batch."""
    return [v for i, v in enumerate(values) if i != axis]


def reshape(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.reshape, which keeps the batch axis whole.

    Raises:
        ValueError: when it mixes the batch axis with another.
    """
    sizes, axis = tuple(params["new_sizes"]), tensor.batch_axis
    if params.get("dimensions") is not None:
        raise ValueError("a reshape with a permutation has no rule; transpose first")
    if axis is None:
        return tensor.view(lambda a: a.reshape(sizes))
    before = int(np.prod(tensor.shape[:axis], dtype=np.int64))
    for new_axis, size in enumerate(sizes):
        lead = int(np.prod(sizes[:new_axis], dtype=np.int64))
        if lead == before and size == tensor.batch:
            shape = _without(sizes, new_axis)
            return tensor.view(functools.partial(np.reshape, shape=shape), batch_axis=new_axis)
    if tensor.batch == 1:
        return single_sample(tensor).view(lambda a: a.reshape(sizes))
    raise ValueError(
        f"a reshape from {tensor.shape} to {sizes} merges the batch axis with another; keep the batch "
        f"axis whole"
    )


def transpose(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.transpose."""
    order, axis = tuple(params["permutation"]), tensor.batch_axis
    if axis is None:
        return tensor.view(lambda a: a.transpose(order))
    reduced = [d if d < axis else d - 1 for d in order if d != axis]
    return tensor.view(lambda a: a.transpose(reduced), batch_axis=order.index(axis))


def broadcast_in_dim(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.broadcast_in_dim."""
    shape, where, axis = tuple(params["shape"]), tuple(params["broadcast_dimensions"]), None
    if tensor.batch_axis is not None and shape[where[tensor.batch_axis]] != tensor.batch:
        tensor = single_sample(tensor)
    if tensor.batch_axis is not None:
        axis = where[tensor.batch_axis]
    reduced = _without(shape, axis)
    places = [d if axis is None or d < axis else d - 1 for d in where if d != axis]

    def spread(array: np.ndarray) -> np.ndarray:
        expanded = [1] * len(reduced)
        for place, size in zip(places, array.shape, strict=True):
            expanded[place] = size
        return np.broadcast_to(array.reshape(expanded), reduced)

    return tensor.view(spread, batch_axis=axis)


def single_sample(tensor: View) -> View:
    """A view of a batch of one with its batch axis as an ordinary axis: all slots hold the one sample."""
    axis = tensor.batch_axis
    return tensor if axis is None else tensor.view(lambda a: np.expand_dims(a, axis), batch_axis=None)


def squeeze(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.squeeze of axes of size one (of the batch axis too, if it holds one sample)."""
    dimensions, axis = tuple(params["dimensions"]), tensor.batch_axis
    if axis is None:
        return tensor.view(lambda a: np.squeeze(a, dimensions))
    reduced = tuple(d if d < axis else d - 1 for d in dimensions if d != axis)
    new_axis = None if axis in dimensions else axis - sum(d < axis for d in dimensions)
    return tensor.view(lambda a: np.squeeze(a, reduced), batch_axis=new_axis)


def expand_dims(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.expand_dims, where JAX keeps it as a primitive."""
    dimensions = tuple(params["dimensions"])
    rank = len(tensor.shape) + len(dimensions)
    kept = [d for d in range(rank) if d not in dimensions]
    sizes = iter(tensor.shape)
    shape = tuple(1 if d in dimensions else next(sizes) for d in range(rank))
    return broadcast_in_dim(tensor, {"shape": shape, "broadcast_dimensions": kept})


def slice_(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.slice over axes other than the batch.

    Raises:
        ValueError: when it cuts the batch.
    """
    starts, limits = tuple(params["start_indices"]), tuple(params["limit_indices"])
    strides = tuple(params["strides"] or (1,) * len(starts))
    axis = tensor.batch_axis
    if axis is not None and (starts[axis], limits[axis], strides[axis]) != (0, tensor.batch, 1):
        raise ValueError("a slice cuts the batch axis, whose samples lie in the slots")
    index = tuple(
        slice(*bounds) for bounds in _without(list(zip(starts, limits, strides, strict=True)), axis)
    )
    return tensor.view(lambda a: a[index])


def split(tensor: View, params: dict[str, Any]) -> list[View]:
    """The views under lax.split over an axis other than the batch."""
    shape, axis, parts, start = tensor.shape, params["axis"], [], 0
    for size in map(int, params["sizes"]):
        starts = [start if d == axis else 0 for d in range(len(shape))]
        limits = [start + size if d == axis else s for d, s in enumerate(shape)]
        cut = {"start_indices": starts, "limit_indices": limits, "strides": None}
        parts.append(slice_(tensor, cut))
        start += size
    return parts


def reverse(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.rev over axes other than the batch.

    Raises:
        ValueError: when it reverses the batch.
    """
    axis = tensor.batch_axis
    if axis in params["dimensions"]:
        raise ValueError("a reversal runs over the batch axis, whose samples lie in the slots")
    reduced = tuple(d if axis is None or d < axis else d - 1 for d in params["dimensions"])
    return tensor.view(lambda a: np.flip(a, reduced))


def pad(tensor: View, value: np.ndarray, params: dict[str, Any]) -> View:
    """The view under lax.pad with a plain value.

    Args:
        tensor: what is padded.
        value: one plain number.
        params: of the primitive.

    Raises:
        ValueError: when it pads the batch.
    """
    config = tuple(params["padding_config"])
    axis = tensor.batch_axis
    if axis is not None and tuple(config[axis]) != (0, 0, 0):
        raise ValueError("a padding extends the batch axis, whose samples lie in the slots")
    reduced = _without(config, axis)

    def padded(array: np.ndarray, fill: float) -> np.ndarray:
        for d, (low, high, interior) in enumerate(reduced):
            array = _pad_axis(array, d, low, high, interior, fill)
        return array

    return dataclasses.replace(
        tensor,
        entries=padded(tensor.entries, -1),
        multiplier=padded(tensor.multiplier, 0.0),
        offset=padded(tensor.offset, float(value)),
    )


def _pad_axis(array: np.ndarray, axis: int, low: int, high: int, interior: int, fill: float) -> np.ndarray:
    size = array.shape[axis]
    spread = np.full(
        [(size - 1) * (interior + 1) + 1 if d == axis else s for d, s in enumerate(array.shape)],
        fill,
        array.dtype,
    )
    spread[(slice(None),) * axis + (slice(None, None, interior + 1),)] = array
    start, stop = max(-low, 0), spread.shape[axis] - max(-high, 0)
    spread = spread[(slice(None),) * axis + (slice(start, stop),)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (max(low, 0), max(high, 0))
    return np.pad(spread, widths, constant_values=fill)


def concatenate_views(builder: Builder, operands: list[View | np.ndarray], params: dict[str, Any]) -> View:
    """The concatenation of encrypted and plain arrays along an axis other than the batch.

    Args:
        builder: that collects nodes.
        operands: views and plain arrays, at least one view.
        params: of the primitive.

    Raises:
        ValueError: when it runs along the batch, or the batch axes differ.
    """
    encrypted = [o for o in operands if isinstance(o, View)]
    first = next((o for o in encrypted if o.batch_axis is not None), encrypted[0])
    axis = first.batch_axis
    if axis == params["dimension"]:
        raise ValueError("a concatenation extends the batch axis, whose samples lie in the slots")
    tensors = [as_batch(o, first) if isinstance(o, View) else constant_like(o, first) for o in operands]
    if any(t.batch_axis != axis for t in tensors):
        raise ValueError("a concatenation joins arrays whose samples lie along different axes")
    place = params["dimension"] - (axis is not None and params["dimension"] > axis)
    node, shifts = _common_node(builder, tensors)
    entries = [np.where(t.entries < 0, -1, t.entries + s) for t, s in zip(tensors, shifts, strict=True)]
    return View(
        node,
        np.concatenate(entries, place),
        np.concatenate([t.multiplier for t in tensors], place),
        np.concatenate([t.offset for t in tensors], place),
        axis,
        first.batch,
    )


def stack_views(builder: Builder, operands: list[View | np.ndarray], params: dict[str, Any]) -> View:
    """The stack of encrypted and plain arrays: a new axis, and a concatenation along it.

    Args:
        builder: that collects nodes.
        operands: views and plain arrays, at least one view.
        params: of the primitive.
    """

    def expand(operand: View | np.ndarray) -> View | np.ndarray:
        if isinstance(operand, View):
            return expand_dims(operand, {"dimensions": (params["axis"],)})
        return np.expand_dims(operand, params["axis"])

    return concatenate_views(builder, [expand(o) for o in operands], {"dimension": params["axis"]})


def tile(tensor: View, params: dict[str, Any]) -> View:
    """The view under lax.tile over axes other than the batch.

    Raises:
        ValueError: when it repeats the batch.
    """
    repeats, axis = tuple(params["reps"]), tensor.batch_axis
    if axis is not None and repeats[axis] != 1:
        raise ValueError("a repetition extends the batch axis, whose samples lie in the slots")
    return tensor.view(lambda a: np.tile(a, _without(repeats, axis)))


def _common_node(builder: Builder, tensors: list[View]) -> tuple[int, list[int]]:
    """The node that holds all entries, and where each tensor's begin."""
    nodes = list(dict.fromkeys(t.node for t in tensors))
    if len(nodes) == 1:
        return nodes[0], [0] * len(tensors)
    sizes = [builder.nodes[n].size for n in nodes]
    starts = dict(zip(nodes, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    node = builder.append(Concatenate(tuple(nodes), sum(sizes), builder.label))
    return node, [starts[t.node] for t in tensors]


def as_batch(shared: View, like: View) -> View:
    """A value without a batch axis (the same in all slots) with the batch axis of `like`.

    Raises:
        ValueError: when it differs along that axis, without lying in the slots.
    """
    if shared.batch_axis is not None or like.batch_axis is None:
        return shared
    return at_batch(shared, like.batch_axis)


def at_batch(shared: View, axis: int) -> View:
    """A value without a batch axis, with `axis` as that in which the samples lie.

    Raises:
        ValueError: when it differs along that axis, without lying in the slots.
    """
    for array in (shared.entries, shared.multiplier, shared.offset):
        if not (array == array.take([0], axis)).all():
            raise ValueError(
                "an encrypted value that all samples share differs between the samples; encrypt what "
                "differs as an argument with a batch_axis"
            )
    return shared.view(lambda a: a.take(0, axis), batch_axis=axis)


def constant_like(values: np.ndarray, like: View) -> View:
    """A plain array as a view with no ciphertext in it.

    Raises:
        ValueError: when it differs between samples.
    """
    values = without_batch(np.asarray(values, np.float64), like)
    nothing = np.full(values.shape, -1, np.int64)
    return View(like.node, nothing, np.zeros(values.shape), values, like.batch_axis, like.batch)


def without_batch(values: np.ndarray, like: View) -> np.ndarray:
    """The plain operand of the whole shape without the batch axis, along which it must be constant.

    Raises:
        ValueError: when it differs between samples.
    """
    if like.batch_axis is None or values.ndim == 0:
        return values
    return constant_along(values, like.batch_axis)


def constant_along(values: np.ndarray, axis: int) -> np.ndarray:
    """A plain array without an axis along which the samples lie, and it must be constant.

    Raises:
        ValueError: when it differs between samples.
    """
    first = np.take(values, 0, axis)
    if values.shape[axis] > 1 and not (values == np.expand_dims(first, axis)).all():
        raise ValueError(
            "a plain operand differs between the samples of the batch; encrypt it as an argument of its "
            "own, or make it the same for all samples"
        )
    return first
