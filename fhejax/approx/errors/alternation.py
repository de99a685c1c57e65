"""Alternation: peaks of alternating sign, which Remez's algorithm exchanges and which prove a fit."""

import numpy as np


def peaks(errors: np.ndarray) -> np.ndarray:
    """The index of the largest error in each run of one sign, (runs,) int.

    Args:
        errors: the errors at points in their order, (n,) float64.
    """
    signs = np.where(errors >= 0, 1, -1)
    starts = np.flatnonzero(np.concatenate([[True], signs[1:] != signs[:-1]]))
    sizes = np.abs(errors)
    largest = np.maximum.reduceat(sizes, starts)
    run = np.cumsum(np.isin(np.arange(len(errors)), starts)) - 1
    candidates = np.flatnonzero(sizes == largest[run])
    return candidates[np.unique(run[candidates], return_index=True)[1]]


def local_maxima(sizes: np.ndarray) -> np.ndarray:
    """The indices of entries larger than the one before and no smaller than the one after."""
    padded = np.concatenate([[-np.inf], sizes, [-np.inf]])
    return np.flatnonzero((sizes > padded[:-2]) & (sizes >= padded[2:]))


def select(errors: np.ndarray, count: int) -> np.ndarray:
    """The indices of `count` peaks out of more, signs still alternating and the largest still there.

    The smallest of them is as large as it can be, which keeps the level of an exchange rising however
    many peaks there are.

    Args:
        errors: the errors at the peaks, (n,) float64, in the order of the points and of alternating sign.
        count: how many are kept.
    """
    chosen = _largest_alternation(errors, count)
    while len(chosen) > count:
        sizes = np.abs(errors[chosen])
        if len(chosen) == count + 1:
            chosen = chosen[1:] if sizes[0] < sizes[-1] else chosen[:-1]
        else:
            # Two neighbours leave together, as do both ends, which wrap around.
            drop = int(np.argmin(np.maximum(sizes, np.roll(sizes, -1))))
            chosen = np.delete(chosen, [drop, (drop + 1) % len(chosen)])
    return chosen


def _largest_alternation(errors: np.ndarray, count: int) -> np.ndarray:
    """The peaks of each run of one sign among the fewest largest errors that have `count` runs."""
    if len(errors) <= count + 1:
        return np.arange(len(errors))
    order = np.argsort(-np.abs(errors), kind="stable")
    low, high = count, len(errors)
    while low < high:
        middle = (low + high) // 2
        enough = len(peaks(errors[np.sort(order[:middle])])) >= count
        low, high = (low, middle) if enough else (middle + 1, high)
    kept = np.sort(order[:low])
    return kept[peaks(errors[kept])]


def alternation_ratio(errors: np.ndarray, count: int) -> float:
    """The largest error over the smallest one in an alternation of `count` points.

    It is infinite if there is no such alternation.
    """
    sizes = np.abs(errors[peaks(errors)])
    if len(sizes) < count or np.max(sizes) == 0:
        return np.inf
    kept = sizes[select(errors[peaks(errors)], count)]
    return float(np.max(sizes) / np.min(kept)) if np.min(kept) > 0 else np.inf
