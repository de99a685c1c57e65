"""Windows that slide over an array: convolutions, and the sums under average pooling."""

import dataclasses
import itertools

import numpy as np

from fhejax.program.circuit.views import Builder, View, axis_in_view, entry_count
from fhejax.program.tensor.operations.plain_products import linear


def _windows(
    array: np.ndarray,
    fill: float,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    base_dilation: tuple[int, ...],
    window_dilation: tuple[int, ...],
) -> np.ndarray:
    """The windows over the last len(window) axes of an array: [..., taps, positions]."""
    lead = array.ndim - len(window)
    for axis, step in enumerate(base_dilation):
        array = _dilate(array, lead + axis, step, fill)
    for axis, (low, high) in enumerate(padding):
        array = _padded_axis(array, lead + axis, low, high, fill)
    spans = [(size - 1) * step + 1 for size, step in zip(window, window_dilation, strict=True)]
    counts = [(array.shape[lead + i] - span) // strides[i] + 1 for i, span in enumerate(spans)]
    taps = []
    for tap in itertools.product(*(range(size) for size in window)):
        index: tuple = (slice(None),) * lead
        for i, t in enumerate(tap):
            start = t * window_dilation[i]
            index += (slice(start, start + (counts[i] - 1) * strides[i] + 1, strides[i]),)
        taps.append(array[index])
    return np.stack(taps, lead)


def _dilate(array: np.ndarray, axis: int, step: int, fill: float) -> np.ndarray:
    if step == 1:
        return array
    shape = list(array.shape)
    shape[axis] = (shape[axis] - 1) * step + 1
    dilated = np.full(shape, fill, array.dtype)
    dilated[(slice(None),) * axis + (slice(None, None, step),)] = array
    return dilated


def _padded_axis(array: np.ndarray, axis: int, low: int, high: int, fill: float) -> np.ndarray:
    """The array padded or, where a width is negative, cropped."""
    start, stop = max(-low, 0), array.shape[axis] - max(-high, 0)
    array = array[(slice(None),) * axis + (slice(start, stop),)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (max(low, 0), max(high, 0))
    return np.pad(array, widths, constant_values=fill)


def _windowed(tensor: View, *window: tuple) -> tuple[View, tuple[int, ...]]:
    """The view of all windows, arrays [lead..., taps, positions], and the shape of the positions."""
    entries = _windows(tensor.entries, -1, *window)
    multiplier = _windows(tensor.multiplier, 0.0, *window)
    offset = _windows(tensor.offset, 0.0, *window)
    lead = tensor.entries.ndim - len(window[0])
    spatial = entries.shape[lead + 1 :]
    flat = (*entries.shape[: lead + 1], entry_count(spatial))
    view = dataclasses.replace(
        tensor,
        entries=entries.reshape(flat),
        multiplier=multiplier.reshape(flat),
        offset=offset.reshape(flat),
    )
    return view, spatial


def convolution(builder: Builder, tensor: View, kernel: np.ndarray, params: dict) -> View:
    """The convolution lax.conv_general_dilated of an encrypted image and a plain kernel.

    Args:
        builder: that collects nodes.
        tensor: the encrypted image.
        kernel: plain weights.
        params: of the primitive.

    Raises:
        ValueError: when the samples are not the convolution's batch dimension.
    """
    numbers, groups = params["dimension_numbers"], params["feature_group_count"]
    image, weight, out = numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec
    if tensor.batch_axis != image[0] and not (
        tensor.batch_axis is None and tensor.entries.shape[image[0]] == 1
    ):
        raise ValueError("the batch dimension of the convolution is not the axis of the samples")
    if params["batch_group_count"] != 1:
        raise ValueError("a convolution with batch_group_count above 1 has no rule")
    shared = tensor.batch_axis is None
    flat = tensor.view(lambda a: np.squeeze(a, image[0])) if shared else tensor
    strip = axis_in_view(image[0])
    channels_first = flat.view(lambda a: a.transpose([strip(d) for d in image[1:]]))
    window = tuple(kernel.shape[d] for d in weight[2:])
    patches, spatial = _windowed(
        channels_first,
        window,
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
    )
    channels, taps, positions = patches.entries.shape
    patches = patches.view(lambda a: a.reshape(groups, channels // groups * taps, positions))
    weights = kernel.transpose(weight).reshape(groups, kernel.shape[weight[0]] // groups, -1)
    result = linear(builder, tensor, patches, weights)
    features = kernel.shape[weight[0]]
    result = result.view(lambda a: a.reshape(features, *spatial))
    back = np.argsort([axis_in_view(out[0])(d) for d in out[1:]])
    result = result.view(lambda a: a.transpose(back), batch_axis=out[0])
    if tensor.batch_axis is None:
        result = result.view(lambda a: np.expand_dims(a, out[0]), batch_axis=None)
    return result


def window_sum(builder: Builder, tensor: View, params: dict) -> View:
    """The sums lax.reduce_window_sum over windows, as under average pooling.

    Args:
        builder: that collects nodes.
        tensor: what is summed.
        params: of the primitive.

    Raises:
        ValueError: when a window spans several samples.
    """
    names = (
        "window_dimensions",
        "window_strides",
        "padding",
        "base_dilation",
        "window_dilation",
    )
    window = [list(params[name]) for name in names]
    if tensor.batch_axis is not None:
        single = [settings.pop(tensor.batch_axis) for settings in window]
        if single != [1, 1, (0, 0), 1, 1]:
            raise ValueError("a pooling window spans several samples of the batch")
    patches, spatial = _windowed(tensor, *(tuple(settings) for settings in window))
    patches = patches.view(lambda a: a[None])
    result = linear(builder, tensor, patches, np.ones((1, 1, patches.entries.shape[1])))
    return result.view(lambda a: a.reshape(spatial))
