"""Convolutions of an encrypted image by an encrypted kernel, as contractions over the image's patches.

    result[n, p, o] = sum over k and c of patches[n, c, k, p] kernel[k, c, o],
    patches[n, c, k, p] = image[n, stride p + dilation k - padding, c].

The gradient by the kernel, as JAX writes it, is the convolution by the result's gradient of the image whose
samples are channels. Its taps are p, with the dilation `stride`, and its positions k: the same patches,
summed over n and p. So both read one array of patches, which it takes no arithmetic to make. The gradient by
an image of which windows lie side by side is a contraction too, of which each result is a block.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.rearrangements.patches import patches
from fhejax.program.tensor.operations.rearrangements.reshape import reshaped
from fhejax.program.tensor.operations.rearrangements.reversal import reversed_along
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
    if _spreads(windows):
        return _spread(builder, image, kernel, windows, params["dimension_numbers"])
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
    return _transposed(builder, result, tuple(places[place] for place in np.argsort(result_axes)))


def _spreads(windows: Windows) -> bool:
    """Whether each window over an image with gaps has one entry: the gradient of windows side by side."""
    spatial = range(len(windows.sizes))
    return any(size > 1 for size in windows.sizes) and all(
        windows.strides[d] == windows.window_dilation[d] == 1
        and windows.base_dilation[d] == windows.sizes[d]
        and windows.padding[d] == (windows.sizes[d] - 1,) * 2
        for d in spatial
    )


def _spread(
    builder: Builder, image: Tensor, kernel: Tensor, windows: Windows, numbers: tuple[Any, Any, Any]
) -> Tensor:
    """The convolution of an image with gaps as wide as the kernel, of which each entry becomes a block.

    result[n, size p + k, o] = sum over c of image[n, p, c] turned[k, c, o], with the kernel turned around.
    """
    image_axes, kernel_axes, result_axes = map(tuple, numbers)
    spatial = len(windows.sizes)
    turned = reversed_along(builder, kernel, kernel_axes[2:])
    counts = tuple(image.shape[d] for d in image_axes[2:])
    samples, outputs = image.shape[image_axes[0]], kernel.shape[kernel_axes[0]]
    ordered = _transposed(builder, image, (image_axes[0], *image_axes[2:], image_axes[1]))
    weights = _transposed(builder, turned, (kernel_axes[1], *kernel_axes[2:], kernel_axes[0]))
    shape = (samples, *counts, *windows.sizes, outputs)
    summed, sources = ((1 + spatial,), (0,)), (ordered.number, weights.number)
    blocks = builder.append(Contraction(sources, shape, builder.label, None, False, summed, ((), ())))
    pairs = [d for axis in range(spatial) for d in (1 + axis, 1 + spatial + axis)]
    blocks = _transposed(builder, blocks, (0, *pairs, 1 + 2 * spatial))
    sizes = tuple(count * size for count, size in zip(counts, windows.sizes, strict=True))
    joined = reshaped(builder, blocks, (samples, *sizes, outputs))
    places = (0, 1 + spatial, *range(1, 1 + spatial))
    return _transposed(builder, joined, tuple(places[place] for place in np.argsort(result_axes)))


def _transposed(builder: Builder, x: Tensor, order: tuple[int, ...]) -> Tensor:
    """The tensor with its axes in another order."""
    if order == tuple(range(len(order))):
        return x
    shape = tuple(x.shape[d] for d in order)
    return builder.append(Transposition((x.number,), shape, builder.label, order))


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
