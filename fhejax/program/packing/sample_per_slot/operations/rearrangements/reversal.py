"""Reversals of axes other than the batch."""

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample
from fhejax.program.tensor.operations.rearrangements.reversal import Reversal


def reversal(builder: Builder, operation: Reversal, sources: list[View]) -> View:
    """The view from the last entry to the first along axes other than the batch.

    Raises:
        ValueError: when it reverses the batch.
    """
    (tensor,) = sources
    if tensor.batch == 1 and tensor.batch_axis in operation.axes:
        tensor = single_sample(tensor)
    axis = tensor.batch_axis
    if axis is not None and axis in operation.axes:
        raise ValueError("a reversal runs over the batch axis, whose samples lie in the slots")
    reduced = tuple(d if axis is None or d < axis else d - 1 for d in operation.axes)
    return tensor.view(lambda a: np.flip(a, reduced))
