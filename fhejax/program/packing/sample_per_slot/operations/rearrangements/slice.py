"""Slices of axes other than the batch."""

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import without
from fhejax.program.tensor.operations.rearrangements.slice import Slice


def slice_(builder: Builder, operation: Slice, sources: list[View]) -> View:
    """The view of some entries along axes other than the batch.

    Raises:
        ValueError: when it cuts the batch.
    """
    (tensor,), axis = sources, sources[0].batch_axis
    bounds = (operation.starts, operation.limits, operation.strides)
    if axis is not None and tuple(numbers[axis] for numbers in bounds) != (0, tensor.batch, 1):
        raise ValueError("a slice cuts the batch axis, whose samples lie in the slots")
    index = tuple(without(operation.index(), axis))
    return tensor.view(lambda a: a[index])
