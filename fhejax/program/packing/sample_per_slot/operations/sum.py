"""Sums of encrypted views, elementwise: one node, unless they are views of the same entries."""

import dataclasses
import functools

import numpy as np

from fhejax.program.circuit.nodes import Combine
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import same_samples, spread
from fhejax.program.tensor.operations.sum import Sum


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
        return dataclasses.replace(x, multiplier=x.multiplier + y.multiplier, offset=offset)
    x, y = builder.row_major(x), builder.row_major(y)
    ratio = (y.multiplier / x.multiplier).reshape(-1)
    weights = (None, None if (ratio == 1.0).all() else ratio)
    node = Combine((x.node, y.node), weights, x.entries.size, builder.label)
    total = builder.fresh(node, x, x.entries.shape)
    return dataclasses.replace(total, multiplier=x.multiplier, offset=offset)
