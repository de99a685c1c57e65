"""Products and squares of encrypted views, elementwise."""

import dataclasses

import numpy as np

from fhejax.program.circuit.nodes import Combine, ElementwiseProduct, ElementwiseSquare
from fhejax.program.circuit.views import Builder, View, in_node_order
from fhejax.program.packing.sample_per_slot.batch_axis import same_samples, spread
from fhejax.program.tensor.operations.product import Product

_LARGEST_FACTOR = 2.0**6
_LARGEST_SHIFT = 2.0**3


def product(builder: Builder, operation: Product, sources: list[View]) -> View:
    """The product of two encrypted arrays."""
    x, y = (spread(source, operation.shape) for source in sources)
    return multiply_views(builder, x, y)


def multiply_views(builder: Builder, x: View, y: View) -> View:
    """The product x * y of views of one shape; of a view with itself it is a square.

    Raises:
        ValueError: samples along different axes.
    """
    x, y = same_samples(x, y)
    if x is y or x.same_values(y):
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
    A common factor costs nothing here: it becomes a matter of the scale. And where a factor is so small that
    the shift c / m dwarfs the node (a channel of a batch norm whose gamma is nearly zero), the square would
    be of large numbers that cancel.
    """
    size = float(np.abs(x.multiplier).max(initial=0.0))
    if not size:
        return x
    piled_up = not 1 / _LARGEST_FACTOR < size < _LARGEST_FACTOR
    return scaled(builder, x) if piled_up or _is_dwarfed(builder, x) else x


def _is_dwarfed(builder: Builder, x: View) -> bool:
    """Whether a shift makes the node's largest number more than _LARGEST_SHIFT times as large."""
    if not x.offset.any():
        return False
    largest = builder.largest(x)
    alive = (x.multiplier != 0) & (x.entries >= 0)
    shift = np.abs(np.divide(x.offset, x.multiplier, out=np.zeros(x.offset.shape), where=alive))
    return bool(shift.max(initial=0.0) > _LARGEST_SHIFT * max(1.0, largest.max(initial=0.0)))


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
