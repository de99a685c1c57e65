"""Where the entries of values lie in planes: next to what they are made of.

An anchor is a position for each entry, a slot plus the period times the number of a ciphertext, or -1 where
nothing is known of it. Anchors may be equal; positions are not.
"""

import numpy as np

from fhejax.program.circuit.nodes import Linear
from fhejax.program.packing.multiplexed.placement import Placement


def anchor_of_layer(node: Linear, anchor: np.ndarray | None, period: int) -> np.ndarray | None:
    """The anchors of the results of a linear layer, int64 [result].

    A result lies in the slot that one and the same tap reads: a stride so leaves gaps. Each output has a
    ciphertext of its own; where there is one output, as of a sum over windows, that of what it reads.

    Args:
        node: the layer.
        anchor: of the entries that it reads.
        period: slots of a plane.
    """
    if anchor is None:
        return None
    read = np.where(node.entries >= 0, anchor[np.maximum(node.entries, 0)], -1)
    known = (read >= 0).sum((0, 2))
    base = read[:, int(np.argmax(known))]  # [group, position], of the first tap of which most is known
    groups, outputs, _ = node.weights.shape
    if outputs == 1 and _are_distinct(base):
        return base.reshape(-1)
    pixels = np.where(base >= 0, base % period, -1)
    together = _are_distinct(pixels)
    planes = np.zeros((groups, 1, 1), int) if together else np.arange(groups)[:, None, None] * outputs
    planes = planes + np.arange(outputs)[:, None]
    return np.where(pixels[:, None] >= 0, planes * period + pixels[:, None], -1).reshape(-1)


def planes_of(anchor: np.ndarray | None, size: int, period: int) -> Placement:
    """The positions of entries at their anchors, each its own, in as few ciphertexts as that takes.

    Entries with equal anchors lie in ciphertexts one after the other; those without one, in others.

    Args:
        anchor: of the entries, or None.
        size: how many there are.
        period: slots of a plane.
    """
    if anchor is None:
        return Placement(np.arange(size), period, -(-size // period))
    known = np.flatnonzero(anchor >= 0)
    order = known[np.argsort(anchor[known], kind="stable")]
    ordered = anchor[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.arange(len(order)) - first  # among the entries of one anchor
    planes = ordered // period + rank * (int(ordered.max(initial=0)) // period + 1)
    names, numbers = np.unique(planes, return_inverse=True)
    positions = np.empty(size, np.int64)
    positions[order] = numbers * period + ordered % period
    missing = np.flatnonzero(anchor < 0)
    positions[missing] = len(names) * period + np.arange(len(missing))
    return Placement(positions, period, len(names) + -(-len(missing) // period))


def _are_distinct(anchor: np.ndarray) -> bool:
    known = anchor[anchor >= 0]
    return len(np.unique(known)) == len(known)
