"""The axis of an array along which the samples lie, one in each slot: where it is, and what has none."""

from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.views import View
from fhejax.program.tensor.plain_program import PlainArray, compacted


def without(values: Sequence, axis: int | None) -> list:
    """The values, one for each axis, without that of the batch."""
    return [v for i, v in enumerate(values) if i != axis]


def single_sample(tensor: View) -> View:
    """A view of a batch of one with its batch axis as an ordinary axis: all slots hold the one sample."""
    axis = tensor.batch_axis
    return tensor if axis is None else tensor.view(lambda a: np.expand_dims(a, axis), batch_axis=None)


def spread(x: View, shape: tuple[int, ...]) -> View:
    """The view x, with its axes of size one widened to a shape (jaxprs may leave those implicit)."""
    if shape == x.shape:
        return x
    axis = x.batch_axis
    if axis is not None and shape[axis] != x.batch:
        x, axis = single_sample(x), None
    reduced = tuple(s for d, s in enumerate(shape) if d != axis)
    return x.view(lambda a: np.broadcast_to(a, reduced))


def same_samples(x: View, y: View) -> tuple[View, View]:
    """The same values, both with a batch axis where one has it and the other is shared.

    Raises:
        ValueError: when both have one, in different places.
    """
    if x.batch_axis == y.batch_axis:
        return x, y
    if x.batch == 1:
        return single_sample(x), single_sample(y)
    if None in (x.batch_axis, y.batch_axis):
        return as_batch(x, y), as_batch(y, x)
    raise ValueError(
        f"the samples of one array lie along axis {x.batch_axis} and those of the other along axis "
        f"{y.batch_axis}; only values of the same sample can meet, so transpose one of them"
    )


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
    values = np.asarray(without_batch(values, like), np.float64)
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
    repeated = values.shape[axis] == 1 or values.strides[axis] == 0
    distinct = compacted(values)
    if not repeated and not (distinct == distinct.take([0], axis)).all():
        raise ValueError(
            "a plain operand differs between the samples of the batch; encrypt it as an argument of its "
            "own, or make it the same for all samples"
        )
    return first


def plain_operand(operand: PlainArray | None, like: View, default: float) -> np.ndarray:
    """The numbers of a plain operand in float64, without the batch axis, along which it is constant.

    Args:
        operand: plain numbers, or None for `default`.
        like: the view they meet.
        default: one number.

    Raises:
        ValueError: when they differ between samples.
    """
    if operand is None:
        return np.asarray(default)
    return np.asarray(without_batch(operand.array, like), np.float64)
