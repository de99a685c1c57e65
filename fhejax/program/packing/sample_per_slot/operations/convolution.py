"""Convolutions with a plain kernel, as a node `Linear`."""

import numpy as np

from fhejax.program.circuit.views import Builder, View, axis_in_view
from fhejax.program.packing.sample_per_slot.plain_products import linear
from fhejax.program.packing.sample_per_slot.windows import windowed
from fhejax.program.tensor.operations.convolution import Convolution


def convolution(builder: Builder, operation: Convolution, sources: list[View]) -> View:
    """The convolution of an encrypted image whose samples are the convolution's batch.

    Raises:
        ValueError: when the samples are not the convolution's batch dimension.
    """
    (tensor,), image, out = sources, operation.image_axes, operation.result_axes
    if tensor.batch_axis != image[0] and not (
        tensor.batch_axis is None and tensor.entries.shape[image[0]] == 1
    ):
        raise ValueError("the batch dimension of the convolution is not the axis of the samples")
    shared = tensor.batch_axis is None
    flat = tensor.view(lambda a: np.squeeze(a, image[0])) if shared else tensor
    strip = axis_in_view(image[0])
    channels_first = flat.view(lambda a: a.transpose([strip(d) for d in image[1:]]))
    patches, spatial = windowed(channels_first, operation.windows)
    groups, positions = operation.groups, patches.entries.shape[-1]
    patches = patches.view(lambda a: a.reshape(groups, -1, positions))
    result = linear(builder, tensor, patches, operation.weights(), operation.kernel.varies)
    result = result.view(lambda a: a.reshape(-1, *spatial))
    back = np.argsort([axis_in_view(out[0])(d) for d in out[1:]])
    result = result.view(lambda a: a.transpose(back), batch_axis=out[0])
    if shared:
        result = result.view(lambda a: np.expand_dims(a, out[0]), batch_axis=None)
    return result
