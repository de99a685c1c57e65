"""Sums of encrypted views, elementwise: one node, unless they are views of the same entries."""

import dataclasses
import functools

import numpy as np

from fhejax.program.circuit.nodes import Combine
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import same_samples, spread
from fhejax.program.packing.sample_per_slot.units import common_unit
from fhejax.program.tensor.operations.sum import Sum

_LARGEST_RATIO = 2.0**6  # of the terms of a sum, in units of the first


def sum_of_views(builder: Builder, operation: Sum, sources: list[View]) -> View:
    """The sum of encrypted arrays times their signs.

    Raises:
        ValueError: samples along different axes.
    """
    signed = [
        spread(source if sign > 0 else source.affine(-1.0, 0.0), operation.shape)
        for source, sign in zip(sources, operation.signs, strict=True)
    ]
    return functools.reduce(lambda x, y: add_views(builder, x, y), signed)


def add_views(builder: Builder, x: View, y: View) -> View:
    """The sum x + y of views of one shape.

    Raises:
        ValueError: samples along different axes.
    """
    x, y = same_samples(x, y)
    offset = x.offset + y.offset
    if x.node == y.node and np.array_equal(x.entries, y.entries):
        total = x.multiplier + y.multiplier
        return dataclasses.replace(x, multiplier=total, offset=offset, varies=x.varies or y.varies)
    x, y = builder.row_major(x), builder.row_major(y)
    chosen = builder.decided(lambda: _common_factor(builder, x, y))
    common = (x, y)[chosen].multiplier if isinstance(chosen, int) else chosen
    weights = tuple(_weights(t.multiplier / common, t.varies) for t in (x, y))
    node = Combine((x.node, y.node), weights, x.entries.size, builder.label)
    total = builder.fresh(node, x, x.entries.shape)
    return dataclasses.replace(total, multiplier=common, offset=offset)


def _weights(factors: np.ndarray, varies: bool) -> np.ndarray | None:
    """The weights of a term, or None where all are one, whatever the call."""
    return None if (factors == 1.0).all() and not varies else factors.reshape(-1)


def _common_factor(builder: Builder, x: View, y: View) -> np.ndarray | int:
    """What a sum of two views is divided by, so that its node holds numbers that are neither large nor small.

    Where each view has one factor, that of the first will do unless the other's terms are much larger:
    scales absorb the other. Else it is by the larger term of each entry, which would be lost beside a factor
    of 1e-5, or would drown in one of 1e5.

    Returns:
        The factors of all entries, or the number of the view whose own they are.
    """
    sizes = [np.abs(t.multiplier) * builder.largest(t) for t in (x, y)]
    if _is_uniform(x) and _is_uniform(y):
        first, second = (float(size.max(initial=0.0)) for size in sizes)
        return int(second > _LARGEST_RATIO * first and bool(np.isfinite(second)))
    return common_unit(np.maximum(*sizes))


def _is_uniform(x: View) -> bool:
    """Whether all factors are of one magnitude, whatever the call."""
    factors = x.multiplier
    if x.varies:
        return False
    return factors.size == 0 or bool((np.abs(factors) == np.abs(factors.flat[0])).all())
