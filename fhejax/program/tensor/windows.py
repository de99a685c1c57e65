"""Windows that slide over the last axes of an array, as under convolutions and pooling."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Windows:
    """The way in which windows slide, one number (one pair for padding) for each axis.

    Attributes:
        sizes: of a window.
        strides: from one window to the next.
        padding: entries added before and after; taken away where negative.
        base_dilation: the step between entries of the array once gaps are put in, before padding.
        window_dilation: the step between entries of a window.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    def counts(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The number of windows along each axis of an array of this shape."""
        counts = []
        for axis, size in enumerate(shape):
            padded = (size - 1) * self.base_dilation[axis] + 1 + sum(self.padding[axis])
            span = (self.sizes[axis] - 1) * self.window_dilation[axis] + 1
            counts.append(max((padded - span) // self.strides[axis] + 1, 0))
        return tuple(counts)


def sliding_windows(array: np.ndarray, fill: float, windows: Windows) -> tuple[np.ndarray, tuple[int, ...]]:
    """The windows over the last axes of an array, [..., tap, position], and the positions' shape.

    Args:
        array: of any type, with as many last axes as `windows` has numbers.
        fill: what gaps and padding hold.
        windows: how they slide.
    """
    lead = array.ndim - len(windows.sizes)
    counts = windows.counts(array.shape[lead:])
    for axis, step in enumerate(windows.base_dilation):
        array = dilated(array, lead + axis, step, fill)
    for axis, (low, high) in enumerate(windows.padding):
        array = padded(array, lead + axis, low, high, fill)
    taps = []
    for tap in itertools.product(*(range(size) for size in windows.sizes)):
        index: tuple = (slice(None),) * lead
        for axis, place in enumerate(tap):
            start, stride = place * windows.window_dilation[axis], windows.strides[axis]
            index += (slice(start, start + (counts[axis] - 1) * stride + 1, stride),)
        taps.append(array[index])
    stacked = np.stack(taps, lead)
    return stacked.reshape(*stacked.shape[: lead + 1], -1), stacked.shape[lead + 1 :]


def dilated(array: np.ndarray, axis: int, step: int, fill: float) -> np.ndarray:
    """The array with step - 1 entries of `fill` between its entries along an axis."""
    if step == 1:
        return array
    shape = list(array.shape)
    shape[axis] = (shape[axis] - 1) * step + 1
    result = np.full(shape, fill, array.dtype)
    result[(slice(None),) * axis + (slice(None, None, step),)] = array
    return result


def padded(array: np.ndarray, axis: int, low: int, high: int, fill: float) -> np.ndarray:
    """The array with `fill` before and after it along an axis or, where a width is negative, cropped."""
    start, stop = max(-low, 0), array.shape[axis] - max(-high, 0)
    array = array[(slice(None),) * axis + (slice(start, stop),)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (max(low, 0), max(high, 0))
    return np.pad(array, widths, constant_values=fill)
