"""Intervals of ratios, for pairs and for whole runs."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit


def ratio_interval(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The geometric mean of ours / theirs over pairs, and its 95 % interval (t of the logarithms).

    Raises:
        ValueError: fewer than two pairs, which have no interval.
    """
    logarithms = np.log(ours) - np.log(theirs)
    pairs = len(logarithms)
    if pairs < 2:
        raise ValueError(
            f"{pairs} pair was measured; an interval needs two at least: pass --repeats 2, or --runs 2."
        )
    half = stdtrit(pairs - 1, 0.975) * logarithms.std(ddof=1) / math.sqrt(pairs)
    found = logarithms.mean() + half * np.array([0, -1, 1])
    return dict(zip(("ratio", "low", "high"), np.exp(found).tolist(), strict=True))
