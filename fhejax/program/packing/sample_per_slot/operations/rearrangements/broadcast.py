"""Broadcasts along axes other than the batch."""

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample, without
from fhejax.program.tensor.operations.rearrangements.broadcast import Broadcast, broadcast_array


def broadcast(builder: Builder, operation: Broadcast, sources: list[View]) -> View:
    """The view repeated along new axes, or along axes of size one."""
    (tensor,), shape, where = sources, operation.shape, operation.axes
    if tensor.batch_axis is not None and shape[where[tensor.batch_axis]] != tensor.batch:
        tensor = single_sample(tensor)
    axis = None if tensor.batch_axis is None else where[tensor.batch_axis]
    reduced = without(shape, axis)
    places = [d if axis is None or d < axis else d - 1 for d in where if d != axis]
    return tensor.view(lambda a: broadcast_array(a, reduced, places), batch_axis=axis)
