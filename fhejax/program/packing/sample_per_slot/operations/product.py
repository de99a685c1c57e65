"""Products and squares of encrypted views, elementwise."""

import dataclasses

import numpy as np

from fhejax.program.circuit.nodes import Combine, ElementwiseProduct, ElementwiseSquare
from fhejax.program.circuit.views import Builder, View, in_node_order
from fhejax.program.packing.sample_per_slot.batch_axis import same_samples, spread
from fhejax.program.packing.sample_per_slot.units import unit_of_node
from fhejax.program.tensor.operations.product import Product


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
    if builder.decided(lambda: x is y or x.same_values(y)) and (x is y or x.same_values(y)):
        return square_view(builder, x)
    x, y = (builder.row_major(normalised(builder, t)) for t in (x, y))
    shifts = (_shift_of_view(x), _shift_of_view(y))
    node = ElementwiseProduct((x.node, y.node), shifts, x.entries.size, builder.label)
    product = builder.fresh(node, x, x.entries.shape)
    return dataclasses.replace(product, multiplier=x.multiplier * y.multiplier, varies=x.varies or y.varies)


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
        varies=x.varies,
    )


def normalised(builder: Builder, x: View) -> View:
    """The view x over a node of numbers about one, which can be shifted and multiplied."""
    unit = builder.decided(lambda: unit_of_node(builder, x))
    if unit is None and x.varies and x.offset.any():  # none where the planner's plain arguments are zero
        unit = unit_of_node(builder, x)
    return x if unit is None else scaled(builder, x, unit)


def scaled(builder: Builder, tensor: View, unit: np.ndarray | float = 1.0) -> View:
    """The view whose factors, but for powers of two, are multiplied into a node of their own.

    Args:
        builder: takes the node.
        tensor: the view.
        unit: the factors that are left, one for each entry or one for all.
    """
    unit = np.broadcast_to(unit, tensor.entries.shape)
    tensor = builder.row_major(tensor)
    weights = (tensor.multiplier / unit).reshape(-1)
    node = Combine((tensor.node,), (weights,), tensor.entries.size, builder.label)
    fresh = builder.fresh(node, tensor, tensor.entries.shape)
    return dataclasses.replace(fresh, multiplier=unit, offset=tensor.offset)


def _shift_of_view(x: View) -> np.ndarray | None:
    """The shift c / m of a view in its node's order, or None where it is zero."""
    if not x.offset.any():
        return None
    return in_node_order(x, x.offset / x.multiplier)
