"""Values of nodes in the clear, [size, column]: rows taken, added up where entries say, sums of columns."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Values = np.ndarray
Factors = Sequence[Any]  # of each of a node's weights; an array where many settings are looked at together


def taken(values: Values, entries: np.ndarray) -> Values:
    """The rows of values that entries name, zero where an entry is -1."""
    zero = np.zeros((1, values.shape[1]))
    return np.concatenate([values, zero])[np.where(entries < 0, len(values), entries)]


def named_entries(entries: np.ndarray) -> np.ndarray:
    """The entries that are named, each once, in ascending order; -1 names none."""
    return np.unique(entries[entries >= 0])


def renamed_entries(entries: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The entries by their new numbers, int32; -1 stays.

    Args:
        entries: of any shape.
        places: the new number of each.
    """
    return np.where(entries < 0, -1, places[entries]).astype(np.int32)


def scattered(rows: Values, entries: np.ndarray, size: int) -> Values:
    """The rows added up where `entries` says, [size, column]; an entry of -1 is nowhere."""
    result = np.zeros((size + 1, rows.shape[1]))  # the last row takes what is nowhere
    order = np.argsort(entries, kind="stable")
    targets, starts = np.unique(entries[order], return_index=True)
    result[targets] = np.add.reduceat(rows[order], starts, axis=0)
    return result[:size]


def shifted(values: Values, shift: np.ndarray | None) -> Values:
    """The values with a node's shift added."""
    return values if shift is None else values + shift[:, None]


def window_sums(values: Values, length: int) -> Values:
    """The sum of each column and the next length - 1, cyclically."""
    doubled = np.concatenate([values, values[:, : length - 1]], 1)
    totals = np.cumsum(np.pad(doubled, ((0, 0), (1, 0))), 1)
    return totals[:, length:] - totals[:, :-length]


def weight_factor(weights: np.ndarray, weight_bits: Any) -> Any:
    """The factor that makes the largest weight 2**weight_bits - 1; an array for an array of bits."""
    largest = float(max(weights.max(initial=0.0), -weights.min(initial=0.0)))
    return (2.0**weight_bits - 1) / largest if largest else 1.0 + 0.0 * weight_bits


def room_above(weights: np.ndarray, planned: float) -> float:
    """The largest power of two, at least 1, times which all weights stay below a planned magnitude."""
    largest = float(np.abs(weights).max(initial=0.0))
    if not largest or not math.isfinite(largest):
        return 1.0
    return 2.0 ** max(0, math.floor(math.log2(planned / largest)))


def rounded_weights(weights: np.ndarray, factor: float) -> np.ndarray:
    """The weights as the steps have them: integers over a factor."""
    return np.rint(weights * factor) / factor
