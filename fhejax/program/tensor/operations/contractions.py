"""Contractions of an encrypted array with plain weights, all as one kind of node: `Linear`.

dot_general, convolution, sums and average pooling each become entries[g, k, p] (which ciphertexts meet
in a sum) and weights[g, o, k] (what multiplies them).
"""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np

from fhejax.program.tensor.graph import Builder, Linear, Tensor
from fhejax.program.tensor.operations.batch_sums import slot_sum
from fhejax.program.tensor.operations.rearrangement import constant_along, single_sample

_WIDEST_BAND = 512
_THINNEST_EFFICIENT = 16


def linear(builder: Builder, tensor: Tensor, patches: Tensor, weights: np.ndarray) -> Tensor:
    """The node of sum over k of weights[g, o, k] patches[g, k, p].

    Args:
        tensor: gives the batch axis of the result.
        patches: a view whose arrays are [g, k, p]; its multipliers are folded into the weights, its
            offsets into the offset of the result.

    Returns:
        A view with arrays of shape [g, o, p].
    """
    offset = np.einsum("gok,gkp->gop", weights, patches.offset)
    patches, common = _common_factor(patches)
    entries, factors = patches.entries, np.where(patches.entries < 0, np.nan, patches.multiplier)
    lowest = np.nanmin(np.where(np.isnan(factors), np.inf, factors), 2)
    highest = np.nanmax(np.where(np.isnan(factors), -np.inf, factors), 2)
    uniform = (lowest == highest) | (lowest > highest)
    groups, length, positions = entries.shape
    if uniform.all():
        folded = weights * np.where(np.isfinite(lowest), lowest, 0.0)[:, None, :]
        entries, folded, width = banded(entries, folded)
        node, scale = _linear_node(builder, tensor.node, entries, folded)
        result = builder.fresh(node, tensor, (groups, positions // width, weights.shape[1], width))
        result = result.view(lambda a: a.transpose(0, 2, 1, 3).reshape(offset.shape))
    else:  # a factor differs between positions: each position becomes a group of its own
        single = entries.transpose(0, 2, 1).reshape(groups * positions, length, 1)
        factor = patches.multiplier.transpose(0, 2, 1).reshape(groups * positions, 1, length)
        node, scale = _linear_node(builder, tensor.node, single, np.repeat(weights, positions, 0) * factor)
        result = builder.fresh(node, tensor, (groups, positions, weights.shape[1]))
        result = result.view(lambda a: a.transpose(0, 2, 1))
    return result.affine(scale * common, offset)


def _common_factor(patches: Tensor) -> tuple[Tensor, np.ndarray | float]:
    """Factors that differ between positions, but not within a sum, are left to its result, [g, 1, p]."""
    alive = patches.entries >= 0
    factors = np.where(alive, patches.multiplier, np.inf).min(1, keepdims=True)
    common = np.where(np.isfinite(factors) & (factors != 0), factors, 1.0)
    if (common == common[:1, :, :1]).all() or (alive & (patches.multiplier != common)).any():
        return patches, 1.0
    return dataclasses.replace(patches, multiplier=np.ones(patches.multiplier.shape)), common


def _linear_node(
    builder: Builder, source: int, entries: np.ndarray, weights: np.ndarray
) -> tuple[Linear, float]:
    """The node, and the factor that was pulled out: sums keep weights -1, 0 and 1, which are exact."""
    magnitudes = np.unique(np.abs(weights[weights != 0]))
    exact = len(magnitudes) <= 1
    factor = float(magnitudes[0]) if exact and len(magnitudes) else 1.0
    if entries.shape[0] == entries.shape[2] == 1:  # one matrix: let it read its entries in order
        order = np.argsort(entries[0, :, 0])
        entries, weights = entries[:, order], weights[:, :, order]
    entries = entries.astype(np.int32)
    return Linear(source, entries, weights / factor, None, exact, builder.label), factor


def banded(entries: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Join neighbouring positions into one matrix over the entries they share, where that is cheaper.

    A convolution of few maps reads each pixel for many positions: one row of outputs against the
    pixels of its rows is a denser and much larger matrix product (5 times faster on a CPU for 5 maps of
    5x5 at stride 2, although 6 of 7 weights are zero).

    Returns:
        entries [g * p / width, k', 1], weights [g * p / width, o * width, k'], and width; or everything
        as it was, with width p, where nothing is gained.
    """
    groups, length, positions = entries.shape
    outputs = weights.shape[1]
    best, best_cost = 0, _band_cost(groups, outputs, positions, length, length)
    for width in range(2, positions + 1):
        if positions % width == 0 and outputs * width <= _WIDEST_BAND:
            union = max(len(u) for u in _unions(entries, width))
            cost = _band_cost(groups * positions // width, outputs * width, 1, union, union)
            if cost < best_cost:
                best, best_cost = width, cost
    if not best:
        return entries, weights, positions
    return *_join(entries, weights, best), best


def _band_cost(groups: int, rows: int, positions: int, length: int, gathered: int) -> float:
    """Nanoseconds a column: multiply-adds (slower in thin matrices), gathered and written entries."""
    products = groups * positions * max(rows, _THINNEST_EFFICIENT) * length
    return products * 0.02 + groups * positions * gathered * 2.0 + groups * rows * positions


def _unions(entries: np.ndarray, width: int) -> list[np.ndarray]:
    """The distinct entries of each run of `width` positions, per group."""
    groups, _, positions = entries.shape
    runs = [entries[g, :, p : p + width] for g in range(groups) for p in range(0, positions, width)]
    return [np.unique(run[run >= 0]) for run in runs]


def _join(entries: np.ndarray, weights: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    positions = entries.shape[2]
    unions = _unions(entries, width)
    longest = max(1, *(len(u) for u in unions))
    joined = np.full((len(unions), longest, 1), -1, np.int64)
    matrix = np.zeros((len(unions), weights.shape[1], width, longest))
    runs = positions // width
    for number, union in enumerate(unions):
        joined[number, : len(union), 0] = union
        group, start = number // runs, number % runs * width
        for offset in range(width):
            column = entries[group, :, start + offset]
            used = column >= 0
            places = np.searchsorted(union, column[used])
            np.add.at(matrix[number, :, offset].T, places, weights[group][:, used].T)
    return joined, matrix.reshape(len(unions), -1, longest)


def dot_general(
    builder: Builder, tensor: Tensor, plain: np.ndarray, numbers: tuple, encrypted_first: bool
) -> Tensor:
    """lax.dot_general of an encrypted and a plain operand.

    Raises:
        ValueError: when a batch dimension runs over the samples, or the plain operand of a contraction
            over the samples differs between them.
    """
    (first_sum, second_sum), (first_batch, second_batch) = numbers
    own, other = (first_sum, second_sum) if encrypted_first else (second_sum, first_sum)
    own_batch, other_batch = (first_batch, second_batch) if encrypted_first else (second_batch, first_batch)
    if tensor.batch == 1 and tensor.batch_axis is not None:
        tensor = single_sample(tensor)
    if tensor.batch_axis is not None and tensor.batch_axis in own_batch:
        raise ValueError(
            "a matrix product with other weights for each sample of the batch; use the same weights for "
            "all samples, or encrypt them and write products and sums"
        )
    if tensor.batch_axis is not None and tensor.batch_axis in own:
        return _sum_of_products(builder, tensor, plain, numbers, encrypted_first)
    rank = tensor.entries.ndim + (tensor.batch_axis is not None)
    free = [d for d in range(rank) if d not in own and d not in own_batch]
    reduced = [d for d in free if d != tensor.batch_axis]
    strip = _axis_remover(tensor.batch_axis)
    order = [strip(d) for d in (*own_batch, *own, *reduced)]
    shape = tensor.entries.shape
    groups, length, positions = ([shape[strip(d)] for d in axes] for axes in (own_batch, own, reduced))
    patches = tensor.view(
        lambda a: a.transpose(order).reshape(_size(groups), _size(length), _size(positions))
    )
    other_free = [d for d in range(plain.ndim) if d not in other and d not in other_batch]
    outputs = [plain.shape[d] for d in other_free]
    weights = plain.transpose(*other_batch, *other_free, *other)
    weights = weights.reshape(_size(groups), _size(outputs), _size(length))
    result = linear(builder, tensor, patches, weights)
    result = result.view(lambda a: a.reshape((*groups, *outputs, *positions)))
    return _order_dot(result, tensor, free, groups, outputs, positions, encrypted_first)


def _sum_of_products(
    builder: Builder, tensor: Tensor, plain: np.ndarray, numbers: tuple, encrypted_first: bool
) -> Tensor:
    """The same, contracted over the batch axis: a sum of slots, and the other axes before or after it."""
    own, other = numbers[0] if encrypted_first else numbers[0][::-1]
    own_batch, other_batch = numbers[1] if encrypted_first else numbers[1][::-1]
    place = own.index(tensor.batch_axis)
    weights = constant_along(plain, other[place])

    def without(axes: tuple[int, ...], removed: int) -> tuple[int, ...]:
        return tuple(d - (d > removed) for d in axes if d != removed)

    inner = (without(own, tensor.batch_axis), without(other, other[place]))
    grouped = (without(own_batch, tensor.batch_axis), without(other_batch, other[place]))
    total = slot_sum(builder, tensor)
    pairs = (inner, grouped) if encrypted_first else (inner[::-1], grouped[::-1])
    return dot_general(builder, total, weights, pairs, encrypted_first)


def _order_dot(
    result: Tensor,
    tensor: Tensor,
    free: list[int],
    groups: list[int],
    outputs: list[int],
    positions: list[int],
    encrypted_first: bool,
) -> Tensor:
    """[groups, outputs, positions] to dot_general's order, with the batch axis where it belongs."""
    g, o, p = len(groups), len(outputs), len(positions)
    if encrypted_first:
        axes = [*range(g), *range(g + o, g + o + p), *range(g, g + o)]
        result = result.view(lambda a: a.transpose(axes))
    if tensor.batch_axis is None:
        return result
    axis = g + free.index(tensor.batch_axis) + (0 if encrypted_first else o)
    return result.view(lambda a: a, batch_axis=axis)


def _axis_remover(batch_axis: int | None) -> Callable[[int], int]:
    """Axis numbers of the whole array to axis numbers without the batch axis."""
    return lambda d: d if batch_axis is None or d < batch_axis else d - 1


def _size(shape: list[int] | tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _windows(
    array: np.ndarray,
    fill: float,
    window: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    base_dilation: tuple[int, ...],
    window_dilation: tuple[int, ...],
) -> np.ndarray:
    """Every window over the last len(window) axes: [..., taps, positions]."""
    lead = array.ndim - len(window)
    for axis, step in enumerate(base_dilation):
        array = _dilate(array, lead + axis, step, fill)
    for axis, (low, high) in enumerate(padding):
        array = _pad(array, lead + axis, low, high, fill)
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


def _pad(array: np.ndarray, axis: int, low: int, high: int, fill: float) -> np.ndarray:
    """Pad or, where negative, crop."""
    start, stop = max(-low, 0), array.shape[axis] - max(-high, 0)
    array = array[(slice(None),) * axis + (slice(start, stop),)]
    widths = [(0, 0)] * array.ndim
    widths[axis] = (max(low, 0), max(high, 0))
    return np.pad(array, widths, constant_values=fill)


def _windowed(tensor: Tensor, *window: tuple) -> tuple[Tensor, tuple[int, ...]]:
    """The view of all windows, arrays [lead..., taps, positions], and the shape of the positions."""
    entries = _windows(tensor.entries, -1, *window)
    multiplier = _windows(tensor.multiplier, 0.0, *window)
    offset = _windows(tensor.offset, 0.0, *window)
    lead = tensor.entries.ndim - len(window[0])
    spatial = entries.shape[lead + 1 :]
    flat = (*entries.shape[: lead + 1], _size(spatial))
    arrays = (a.reshape(flat) for a in (entries, multiplier, offset))
    return Tensor(tensor.node, *arrays, tensor.batch_axis, tensor.batch), spatial


def convolution(builder: Builder, tensor: Tensor, kernel: np.ndarray, params: dict) -> Tensor:
    """lax.conv_general_dilated of an encrypted image and a plain kernel.

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
    strip = _axis_remover(image[0])
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
    back = np.argsort([_axis_remover(out[0])(d) for d in out[1:]])
    result = result.view(lambda a: a.transpose(back), batch_axis=out[0])
    if tensor.batch_axis is None:
        result = result.view(lambda a: np.expand_dims(a, out[0]), batch_axis=None)
    return result


def reduce_sum(builder: Builder, tensor: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A sum: over the batch axis of slots, over the others of ciphertexts, which goes first."""
    if tensor.batch_axis in axes and tensor.batch == 1:
        tensor = single_sample(tensor)
    strip = _axis_remover(tensor.batch_axis)
    summed = [strip(d) for d in axes if d != tensor.batch_axis]
    kept = [d for d in range(tensor.entries.ndim) if d not in summed]
    shape = [tensor.entries.shape[d] for d in kept]
    result = tensor
    if _size([tensor.entries.shape[d] for d in summed]) > 1:
        patches = tensor.view(lambda a: a.transpose(*summed, *kept).reshape(1, -1, _size(shape)))
        result = linear(builder, tensor, patches, np.ones((1, 1, patches.entries.shape[1])))
    result = result.view(lambda a: a.reshape(shape))
    if tensor.batch_axis in axes:
        return slot_sum(builder, result)
    axis = tensor.batch_axis
    if axis is not None:
        axis -= sum(d < axis for d in axes)
    return result.view(lambda a: a, batch_axis=axis)


def window_sum(builder: Builder, tensor: Tensor, params: dict) -> Tensor:
    """lax.reduce_window_sum: the sum pooling under average pooling.

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
