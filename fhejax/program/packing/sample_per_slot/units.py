"""The units of nodes: a node holds numbers about one, and its view says in which unit they are.

A power of two costs nothing as a unit, for scales absorb it. Numbers far from one cost: large ones take bits
of the modulus that scales cannot give back, small ones drown in the noise of a rescale.
"""

import math

import numpy as np

from fhejax.program.circuit.views import Builder, View

_LARGEST_FACTOR = 2.0**6
_LARGEST_SHIFT = 2.0**3
_LARGEST_WEIGHT = 2.0**10
_SMALLEST_VALUE = 2.0**-10
_LARGEST_SPREAD = 2.0**6  # of entries that are divided by one number


def unit_of_weights(weights: np.ndarray) -> float:
    """The power of two next above the largest weight, where that is far from one; else 1."""
    largest = float(np.abs(weights).max(initial=0.0))
    if not 0 < largest < np.inf or 1 / _LARGEST_WEIGHT <= largest <= _LARGEST_WEIGHT:
        return 1.0
    return 2.0 ** math.ceil(math.log2(largest))


def common_unit(sizes: np.ndarray) -> np.ndarray:
    """The powers of two next above the sizes of entries: one for all, or one for each where they differ much.

    A size that is zero or has no bound counts as the largest that does; where none does, the unit is 1.
    """
    usable = np.isfinite(sizes) & (sizes > 0)
    if not usable.any():
        return np.ones(sizes.shape)
    top = sizes[usable].max()
    even = sizes[usable].min() * _LARGEST_SPREAD >= top
    return 2.0 ** np.ceil(np.log2(np.where(usable & (not even), sizes, top)))


def unit_of_node(builder: Builder, x: View) -> np.ndarray | None:
    """The unit of a node for the values of a view without its offset; None where its own node will do.

    Its own will not do where a shift is over factors that plain arguments decide, which may be zero or tiny;
    where a shift c / m dwarfs the node (a channel of a batch norm whose gamma is nearly
    zero), for a product would then be of large numbers that cancel; nor where all its numbers are small.
    Nor will it where factors have piled up while the values themselves are nearer to one than the node is.
    """
    alive = (x.multiplier != 0) & (x.entries >= 0)
    if not alive.any():
        return None
    node, factors = builder.largest(x), np.abs(x.multiplier)
    top, values = float(node[alive].max()), float((factors * node)[alive].max())
    shift = np.abs(np.divide(x.offset, x.multiplier, out=np.zeros(x.offset.shape), where=alive))
    is_dwarfed = bool(shift.max(initial=0.0) > _LARGEST_SHIFT * max(1.0, top))
    if is_dwarfed or (x.varies and x.offset.any()) or 0 < top < _SMALLEST_VALUE:
        return common_unit(np.maximum(factors * node, np.where(alive, np.abs(x.offset), 0.0)))
    largest = float(factors.max())
    piled_up = not 1 / _LARGEST_FACTOR < largest < _LARGEST_FACTOR
    if piled_up and values > 0 and abs(np.log2(values)) < abs(np.log2(top)):
        return np.ones(x.multiplier.shape)
    return None
