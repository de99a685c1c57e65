"""Reshapes of the axes other than the batch."""

import functools

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample, without
from fhejax.program.tensor.operations.rearrangements.reshape import Reshape


def reshape(builder: Builder, operation: Reshape, sources: list[View]) -> View:
    """The view in another shape, which keeps the batch axis whole.

    Raises:
        ValueError: when it mixes the batch axis with another.
    """
    (tensor,), sizes = sources, operation.shape
    axis = tensor.batch_axis
    if axis is None:
        return tensor.view(lambda a: a.reshape(sizes))
    before = int(np.prod(tensor.shape[:axis], dtype=np.int64))
    for new_axis, size in enumerate(sizes):
        lead = int(np.prod(sizes[:new_axis], dtype=np.int64))
        if lead == before and size == tensor.batch:
            shape = without(sizes, new_axis)
            return tensor.view(functools.partial(np.reshape, shape=shape), batch_axis=new_axis)
    if tensor.batch == 1:
        return single_sample(tensor).view(lambda a: a.reshape(sizes))
    raise ValueError(
        f"a reshape from {tensor.shape} to {sizes} merges the batch axis with another; keep the batch "
        f"axis whole"
    )
