"""Sums of the entries of an encrypted array times plain weights, as a node `Linear`."""

import dataclasses

import numpy as np

from fhejax.program.circuit.nodes import Linear
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.units import unit_of_weights
from fhejax.ring.platform import TWO_CORES


def linear(builder: Builder, tensor: View, patches: View, weights: np.ndarray, varies: bool = False) -> View:
    """The sums over k of weights[g, o, k] patches[g, k, p], as a view of one node.

    Args:
        tensor: gives the batch axis of the result.
        patches: a view whose arrays are [g, k, p]; its multipliers are folded into the weights, its
            offsets into the offset of the result.
        weights: [g, o, k].
        varies: whether plain arguments decide the weights.

    Returns:
        A view with arrays of shape [g, o, p].
    """
    offset = np.einsum("gok,gkp->gop", weights, patches.offset)
    patches, common, apart = _common_factor(builder, patches)
    varies, varies_apart = varies or (patches.varies and not apart), patches.varies and apart
    entries, factors = patches.entries, np.where(patches.entries < 0, np.nan, patches.multiplier)
    lowest = np.nanmin(np.where(np.isnan(factors), np.inf, factors), 2)
    highest = np.nanmax(np.where(np.isnan(factors), -np.inf, factors), 2)
    uniform = (lowest == highest) | (lowest > highest)
    groups, length, positions = entries.shape
    if builder.decided(lambda: bool(uniform.all())):
        folded = weights * np.where(np.isfinite(lowest), lowest, 0.0)[:, None, :]
        width = positions
        if builder.joins_positions:
            entries, folded, width = banded(entries, folded)
        node, scale = _linear_node(builder, tensor.node, entries, folded, varies)
        result = builder.fresh(node, tensor, (groups, positions // width, weights.shape[1], width))
        result = result.view(lambda a: a.transpose(0, 2, 1, 3).reshape(offset.shape))
    else:  # a factor differs between positions: each position becomes a group of its own
        single = entries.transpose(0, 2, 1).reshape(groups * positions, length, 1)
        factor = patches.multiplier.transpose(0, 2, 1).reshape(groups * positions, 1, length)
        every = np.repeat(weights, positions, 0) * factor
        node, scale = _linear_node(builder, tensor.node, single, every, varies)
        result = builder.fresh(node, tensor, (groups, positions, weights.shape[1]))
        result = result.view(lambda a: a.transpose(0, 2, 1))
    return result.affine(scale * common, offset, varies_apart)


def _common_factor(builder: Builder, patches: View) -> tuple[View, np.ndarray | float, bool]:
    """The patches without factors that differ between positions alone; those factors, and if there are."""
    alive = patches.entries >= 0
    factors = np.where(alive, patches.multiplier, np.inf).min(1, keepdims=True)
    usable = np.isfinite(factors) & ((factors != 0) | patches.varies)
    common = np.where(usable, factors, 1.0)
    together = (alive & (patches.multiplier != common)).any()
    if builder.decided(lambda: bool(together or (common == common[:1, :, :1]).all())) or together:
        return patches, 1.0, False
    return dataclasses.replace(patches, multiplier=np.ones(patches.multiplier.shape)), common, True


def _linear_node(
    builder: Builder, source: int, entries: np.ndarray, weights: np.ndarray, varies: bool
) -> tuple[Linear, float]:
    """The node, and the factor that was pulled out: sums keep weights -1, 0 and 1, which are exact."""
    magnitudes = np.unique(np.abs(weights[weights != 0]))
    exact = len(magnitudes) <= 1 and not varies
    if exact:
        factor = float(magnitudes[0]) if len(magnitudes) else 1.0
    else:
        factor = builder.decided(lambda: unit_of_weights(weights))
    if entries.shape[0] == entries.shape[2] == 1:  # one matrix: let it read its entries in order
        order = np.argsort(entries[0, :, 0])
        entries, weights = entries[:, order], weights[:, :, order]
    entries = entries.astype(np.int32)
    return Linear(source, entries, weights / factor, None, exact, builder.label), factor


def banded(entries: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The entries and weights with neighbouring positions joined into one matrix, where that is cheaper.

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
        if positions % width == 0 and outputs * width <= TWO_CORES.blocks.widest_band:
            union = max(len(u) for u in _unions(entries, width))
            cost = _band_cost(groups * positions // width, outputs * width, 1, union, union)
            if cost < best_cost:
                best, best_cost = width, cost
    if not best:
        return entries, weights, positions
    return *_join(entries, weights, best), best


def _band_cost(groups: int, rows: int, positions: int, length: int, gathered: int) -> float:
    """The nanoseconds a column: multiply-adds (slower in thin matrices), gathered and written entries.

    They are those of two cores on every machine: a function traced again on another must give the same nodes.
    """
    unit = TWO_CORES.costs
    products = groups * positions * max(rows, unit.thinnest_matrix) * length
    gathers, writes = groups * positions * gathered, groups * rows * positions
    return products * TWO_CORES.multiply_add() + gathers * unit.gathered + writes * unit.written


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
