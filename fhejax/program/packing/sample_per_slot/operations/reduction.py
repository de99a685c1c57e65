"""Sums over whole axes: of ciphertexts first, then, over the batch axis, of slots."""

import numpy as np

from fhejax.program.circuit.views import Builder, View, axis_in_view, entry_count
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample
from fhejax.program.packing.sample_per_slot.batch_sums import slot_sum
from fhejax.program.packing.sample_per_slot.plain_products import linear
from fhejax.program.tensor.operations.reduction import Reduction


def reduction(builder: Builder, operation: Reduction, sources: list[View]) -> View:
    """The sum over the axes of an operation."""
    (tensor,), axes = sources, operation.axes
    if tensor.batch_axis in axes and tensor.batch == 1:
        tensor = single_sample(tensor)
    strip = axis_in_view(tensor.batch_axis)
    summed = [strip(d) for d in axes if d != tensor.batch_axis]
    kept = [d for d in range(tensor.entries.ndim) if d not in summed]
    shape = [tensor.entries.shape[d] for d in kept]
    result = tensor
    if entry_count([tensor.entries.shape[d] for d in summed]) > 1:
        patches = tensor.view(lambda a: a.transpose(*summed, *kept).reshape(1, -1, entry_count(shape)))
        result = linear(builder, tensor, patches, np.ones((1, 1, patches.entries.shape[1])))
    result = result.view(lambda a: a.reshape(shape))
    if tensor.batch_axis in axes:
        return slot_sum(builder, result)
    axis = tensor.batch_axis
    if axis is not None:
        axis -= sum(d < axis for d in axes)
    return result.view(lambda a: a, batch_axis=axis)
