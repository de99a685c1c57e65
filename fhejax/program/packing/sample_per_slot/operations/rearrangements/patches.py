"""Patches along axes other than the batch: which entries of every sample each window reads."""

import numpy as np

from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.operations.rearrangements.transposition import transposed
from fhejax.program.packing.sample_per_slot.windows import windowed
from fhejax.program.tensor.operations.rearrangements.patches import Patches


def patches(builder: Builder, operation: Patches, sources: list[View]) -> View:
    """The view of all windows.

    Raises:
        ValueError: windows that slide over the batch.
    """
    ordered = transposed(sources[0], operation.order)
    axis, lead = ordered.batch_axis, len(operation.order) - len(operation.windows.sizes)
    if axis is not None and axis >= lead:
        raise ValueError("windows that slide over the axis of the samples, each of which lies in a slot")
    found, _ = windowed(ordered, operation.windows)
    shape = [size for d, size in enumerate(operation.shape) if d != axis]
    return found.view(lambda a: np.reshape(a, shape))
