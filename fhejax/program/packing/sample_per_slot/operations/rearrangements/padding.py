"""Paddings of axes other than the batch."""

import dataclasses

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample, without
from fhejax.program.tensor.operations.rearrangements.padding import Padding, pad_array


def padding(builder: Builder, operation: Padding, sources: list[View]) -> View:
    """The view with a plain number around its entries, along axes other than the batch.

    Raises:
        ValueError: when it pads the batch.
    """
    (tensor,), axis = sources, sources[0].batch_axis
    if axis is not None and tensor.batch == 1 and operation.widths[axis] != (0, 0, 0):
        tensor, axis = single_sample(tensor), None
    if axis is not None and operation.widths[axis] != (0, 0, 0):
        raise ValueError("a padding extends the batch axis, whose samples lie in the slots")
    widths, value = without(operation.widths, axis), float(operation.value.array)
    return dataclasses.replace(
        tensor,
        entries=pad_array(tensor.entries, -1, widths),
        multiplier=pad_array(tensor.multiplier, 0.0, widths),
        offset=pad_array(tensor.offset, value, widths),
    )
