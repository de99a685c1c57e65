"""Sums over windows, as under average pooling, as a node `Linear` of whole weights."""

import dataclasses

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import single_sample, without
from fhejax.program.packing.sample_per_slot.plain_products import linear
from fhejax.program.packing.sample_per_slot.windows import windowed
from fhejax.program.tensor.operations.window_sum import WindowSum


def window_sum(builder: Builder, operation: WindowSum, sources: list[View]) -> View:
    """The sums over windows of one sample.

    Raises:
        ValueError: when a window spans several samples.
    """
    (tensor,), windows = sources, operation.windows
    settings = [getattr(windows, field.name) for field in dataclasses.fields(windows)]
    if tensor.batch_axis is not None:
        along = [numbers[tensor.batch_axis] for numbers in settings]
        if along != [1, 1, (0, 0), 1, 1] and tensor.batch == 1:
            tensor = single_sample(tensor)
        elif along != [1, 1, (0, 0), 1, 1]:
            raise ValueError(
                "a window spans several samples of the batch, each of which lies in a slot of its own; let "
                "windows slide over the other axes alone"
            )
    inner = type(windows)(*(tuple(without(numbers, tensor.batch_axis)) for numbers in settings))
    patches, positions = windowed(tensor, inner)
    patches = patches.view(lambda a: a[None])
    result = linear(builder, tensor, patches, np.ones((1, 1, patches.entries.shape[1])))
    return result.view(lambda a: a.reshape(positions))
