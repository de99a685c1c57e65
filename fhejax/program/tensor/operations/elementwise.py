"""Sums, products and powers of encrypted views and plain numbers, elementwise.

Whatever is affine in one encrypted value stays a view; a product of two encrypted values, or a sum of
views of two nodes, makes a node.
"""

import dataclasses
from typing import Any

import numpy as np

from fhejax.program.circuit.nodes import Combine, ElementwiseProduct, ElementwiseSquare
from fhejax.program.circuit.views import Builder, View, in_node_order
from fhejax.program.tensor.operations.rearrangement import as_batch, single_sample, without_batch

Operand = Any
_LARGEST_FACTOR = 2.0**6


def plain_operand(operand: Operand, like: View) -> np.ndarray:
    """The numbers of a plain operand in float64, without the batch axis, along which it is constant."""
    return without_batch(np.asarray(operand, np.float64), like)


def add_views(builder: Builder, x: Operand, y: Operand) -> View:
    """The sum x + y of views or plain arrays.

    Args:
        builder: that collects nodes.
        x: a view or a plain array.
        y: the same; one of them is a view.

    Raises:
        ValueError: plain numbers that differ between samples, or samples along different axes.
    """
    if not isinstance(x, View):
        return add_views(builder, y, x)
    if not isinstance(y, View):
        return _spread(x, y).affine(1.0, plain_operand(y, x))
    return _add_encrypted(builder, *_same_samples(_spread(x, y), _spread(y, x)))


def _spread(x: View, y: Operand) -> View:
    """The view x, with its axes of size one widened to y's (jaxprs may leave those implicit)."""
    shape = np.broadcast_shapes(x.shape, np.shape(y) if not isinstance(y, View) else y.shape)
    if shape == x.shape:
        return x
    axis = x.batch_axis
    if axis is not None and shape[axis] != x.batch:
        x, axis = single_sample(x), None
    reduced = tuple(s for d, s in enumerate(shape) if d != axis)
    return x.view(lambda a: np.broadcast_to(a, reduced))


def _same_samples(x: View, y: View) -> tuple[View, View]:
    """The same values, both with a batch axis where one has it and the other is shared."""
    if x.batch_axis == y.batch_axis:
        return x, y
    if None in (x.batch_axis, y.batch_axis):
        return as_batch(x, y), as_batch(y, x)
    raise ValueError("two arrays whose samples lie along different axes meet elementwise")


def _add_encrypted(builder: Builder, x: View, y: View) -> View:
    offset = x.offset + y.offset
    if x.node == y.node and np.array_equal(x.entries, y.entries):
        return dataclasses.replace(x, multiplier=x.multiplier + y.multiplier, offset=offset)
    x, y = builder.row_major(x), builder.row_major(y)
    ratio = (y.multiplier / x.multiplier).reshape(-1)
    weights = (None, None if (ratio == 1.0).all() else ratio)
    node = Combine((x.node, y.node), weights, x.entries.size, builder.label)
    total = builder.fresh(node, x, x.entries.shape)
    return dataclasses.replace(total, multiplier=x.multiplier, offset=offset)


def subtract_views(builder: Builder, x: Operand, y: Operand) -> View:
    """The difference x - y of views or plain arrays.

    Args:
        builder: that collects nodes.
        x: a view or a plain array.
        y: the same; one of them is a view.

    Raises:
        ValueError: plain numbers that differ between samples, or samples along different axes.
    """
    return add_views(builder, x, y.affine(-1.0, 0.0) if isinstance(y, View) else -np.asarray(y))


def multiply_views(builder: Builder, x: Operand, y: Operand) -> View:
    """The product x * y of views or plain arrays.

    Args:
        builder: that collects nodes.
        x: a view or a plain array.
        y: the same; one of them is a view.

    Raises:
        ValueError: plain numbers that differ between samples, or samples along different axes.
    """
    if not isinstance(x, View):
        return multiply_views(builder, y, x)
    if not isinstance(y, View):
        return _spread(x, y).affine(plain_operand(y, x), 0.0)
    x, y = _same_samples(_spread(x, y), _spread(y, x))
    if x.same_values(y):
        return square_view(builder, x)
    x, y = (builder.row_major(normalised(builder, t)) for t in (x, y))
    shifts = (_shift_of_view(x), _shift_of_view(y))
    node = ElementwiseProduct((x.node, y.node), shifts, x.entries.size, builder.label)
    product = builder.fresh(node, x, x.entries.shape)
    return dataclasses.replace(product, multiplier=x.multiplier * y.multiplier)


def square_view(builder: Builder, x: View) -> View:
    """The square x^2 = m^2 (node + c / m)^2 of a view."""
    x, _ = builder.arranged(normalised(builder, x))
    node = ElementwiseSquare(x.node, _shift_of_view(x), x.entries.size, builder.label)
    result = builder.fresh(node, x, (x.entries.size,))
    return dataclasses.replace(
        result,
        entries=x.entries,
        multiplier=x.multiplier**2,
        offset=np.zeros(x.entries.shape),
    )


def normalised(builder: Builder, x: View) -> View:
    """The view x over a node of its own size, where the factors of the products before have piled up.

    They square with every product, and a node's values would soon be too large or too small for any number.
    A common factor costs nothing here: it becomes a matter of the scale.
    """
    size = float(np.abs(x.multiplier).max(initial=0.0))
    if not size or 1 / _LARGEST_FACTOR < size < _LARGEST_FACTOR:
        return x
    return scaled(builder, x)


def scaled(builder: Builder, tensor: View) -> View:
    """The view whose factors are multiplied into a node of their own."""
    tensor = builder.row_major(tensor)
    node = Combine((tensor.node,), (tensor.multiplier.reshape(-1),), tensor.entries.size, builder.label)
    fresh = builder.fresh(node, tensor, tensor.entries.shape)
    return dataclasses.replace(fresh, offset=tensor.offset)


def _shift_of_view(x: View) -> np.ndarray | None:
    """The shift c / m of a view in its node's order, or None where it is zero."""
    if not x.offset.any():
        return None
    return in_node_order(x, x.offset / x.multiplier)


def power_of_view(builder: Builder, x: View, exponent: int) -> View:
    """The power x^n for a whole n > 0, at depth ceil(log2 n).

    Args:
        builder: that collects nodes.
        x: the base.
        exponent: a whole number.

    Raises:
        ValueError: an exponent below 1.
    """
    if exponent < 1:
        raise ValueError(
            "a negative or zero power of an encrypted value is no polynomial; use fhejax.approx to fit 1/x"
        )
    powers = {1: x}

    def need(n: int) -> View:
        if n not in powers:
            half = need((n + 1) // 2)
            powers[n] = multiply_views(builder, half, need(n // 2)) if n % 2 else square_view(builder, half)
        return powers[n]

    return need(exponent)


def divide_view(builder: Builder, x: Operand, y: Operand) -> View:
    """The quotient x / y for a plain y.

    Args:
        builder: that collects nodes.
        x: a view.
        y: plain numbers.

    Raises:
        ValueError: an encrypted divisor, or one that holds a zero.
    """
    if isinstance(y, View):
        raise ValueError(
            "division by an encrypted value; multiply by a polynomial for 1/x fitted with fhejax.approx"
        )
    divisor = np.asarray(y, np.float64)
    if not divisor.all():
        raise ValueError("a division by a plain zero; leave out what is divided by zero")
    return multiply_views(builder, x, 1.0 / divisor)
