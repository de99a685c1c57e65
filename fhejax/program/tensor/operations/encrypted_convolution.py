"""Convolutions of an encrypted image by an encrypted kernel, as contractions over the image's patches.

    result[n, p, o] = sum over k and c of patches[n, c, k, p] kernel[k, c, o],
    patches[n, c, k, p] = image[n, stride p + dilation k - padding, c].

The gradient by the kernel, as JAX writes it, is the convolution by the result's gradient of the image whose
samples are channels. Its taps are p, with the dilation `stride`, and its positions k: the same patches,
summed over n and p. So both read one array of patches, which it takes no arithmetic to make.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.rearrangements.patches import patches
from fhejax.program.tensor.operations.rearrangements.transposition import Transposition
from fhejax.program.tensor.windows import Windows


def encrypted_convolution(
    builder: Builder, image: Tensor, kernel: Tensor, windows: Windows, params: dict[str, Any]
) -> Tensor:
    """The primitive conv_general_dilated of two encrypted arrays.

    Args:
        builder: of the graph.
        image: the first operand.
        kernel: the second.
        windows: how it slides over the image.
        params: the primitive's.

    Raises:
        ValueError: groups of channels or of samples.
    """
    if params["feature_group_count"] != 1 or params["batch_group_count"] != 1:
        raise ValueError(
            "a convolution in groups by an encrypted kernel, which has no rule; split the channels, and "
            "convolve each part by a kernel of its own"
        )
    image_axes, kernel_axes, result_axes = map(tuple, params["dimension_numbers"])
    spatial = len(windows.sizes)
    positions = windows.counts([image.shape[d] for d in image_axes[2:]])
    shared, turned = canonical(windows, [image.shape[d] for d in image_axes[2:]])
    found = patches(builder, image, image_axes, shared)
    first, second = tuple(range(2, 2 + spatial)), tuple(range(2 + spatial, 2 + 2 * spatial))
    taps = second if turned else first
    kept = (image.shape[image_axes[0]], *positions, kernel.shape[kernel_axes[0]])
    summed = ((1, *taps), kernel_axes[1:])
    sources = found.number, kernel.number
    result = builder.append(Contraction(sources, kept, builder.label, None, False, summed, ((), ())))
    places = (0, 1 + spatial, *range(1, 1 + spatial))  # of the samples, the channels, and the positions
    order = tuple(places[place] for place in np.argsort(result_axes))
    if order == tuple(range(len(order))):
        return result
    shape = tuple(kept[d] for d in order)
    return builder.append(Transposition((result.number,), shape, builder.label, order))


def canonical(windows: Windows, shape: Sequence[int]) -> tuple[Windows, bool]:
    """The windows that read the same entries, and whether their taps are the positions of those given.

    A convolution and its gradient by the kernel read an image at the sums of the same two numbers, each as
    tap in one of them: the one with the larger steps is the position here. Nothing is padded that no window
    reads.

    Args:
        windows: how a kernel slides.
        shape: of what it slides over.
    """
    counts = windows.counts(shape)
    if any(step > 1 for step in windows.base_dilation) or 0 in counts:
        return windows, False
    turned = (windows.window_dilation, windows.sizes) > (windows.strides, counts)
    padding = []
    for axis, size in enumerate(shape):
        reach = (counts[axis] - 1) * windows.strides[axis]
        reach += (windows.sizes[axis] - 1) * windows.window_dilation[axis]
        low = windows.padding[axis][0]
        padding.append((low, reach + 1 - low - size))
    exact = dataclasses.replace(windows, padding=tuple(padding))
    if not turned:
        return exact, False
    swapped = dataclasses.replace(
        exact, sizes=counts, strides=windows.window_dilation, window_dilation=windows.strides
    )
    return swapped, True
