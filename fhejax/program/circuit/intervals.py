"""Interval arithmetic on entries: the least and the largest value of each."""

import numpy as np

ValueInterval = tuple[np.ndarray, np.ndarray]  # float64 [size] each


def taken_interval(interval: ValueInterval, entries: np.ndarray) -> ValueInterval:
    """The intervals of the entries named, zero where one is -1."""
    low, high = (np.where(entries < 0, 0.0, values[entries]) for values in interval)
    return low, high


def shifted_interval(interval: ValueInterval, shift: np.ndarray | None) -> ValueInterval:
    """The interval with a shift added."""
    return interval if shift is None else (interval[0] + shift, interval[1] + shift)


def scaled_interval(interval: ValueInterval, weights: np.ndarray | None) -> ValueInterval:
    """The interval times weights, one for each entry."""
    if weights is None:
        return interval
    ends = interval[0] * weights, interval[1] * weights
    return np.minimum(*ends), np.maximum(*ends)


def square_interval(low: np.ndarray, high: np.ndarray) -> ValueInterval:
    """The interval of squares."""
    largest = np.maximum(low**2, high**2)
    smallest = np.where((low < 0) & (high > 0), 0.0, np.minimum(low**2, high**2))
    return smallest, largest


def product_interval(first: ValueInterval, second: ValueInterval) -> ValueInterval:
    """The interval of products, entry by entry."""
    corners = np.stack([a * b for a in first for b in second])
    return corners.min(0), corners.max(0)
