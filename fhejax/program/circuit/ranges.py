"""Pass 2: what every node can hold, and who reads it."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.nodes import (
    Bootstrap,
    Combine,
    Concatenate,
    ElementwiseProduct,
    ElementwiseSquare,
    Gather,
    GraphNode,
    InnerProduct,
    Input,
    Linear,
    SlotSum,
    Summand,
)
from fhejax.program.circuit.views import View

ValueInterval = tuple[np.ndarray, np.ndarray]


def check_finite(graph: Graph) -> None:
    """Refuse a graph whose weights are NaN or infinite.

    Raises:
        ValueError: with the line that uses them.
    """
    for node in graph.nodes:
        arrays = [getattr(node, name, None) for name in ("weights", "bias", "shift", "shifts")]
        flat = [a for item in arrays for a in (item if isinstance(item, tuple) else (item,))]
        if not all(a is None or np.isfinite(a).all() for a in flat):
            raise ValueError(f"{node.label} has NaN or infinite weights; look at how they were trained.")
    for output in graph.outputs:
        view = output.value
        if isinstance(view, View) and not np.isfinite([view.multiplier, view.offset]).all():
            raise ValueError(
                "a result of the function is scaled or shifted by NaN or infinite weights; look at how "
                "they were trained."
            )


def bounds(graph: Graph) -> tuple[float, ...]:
    """The largest magnitude each node can reach, by interval arithmetic over the ranges of arguments."""
    intervals: list[ValueInterval] = []
    for node in graph.nodes:
        with np.errstate(over="ignore", invalid="ignore"):  # what has no bound is refused as too deep
            intervals.append(_interval(node, intervals, graph.batch))
    largest = (max(np.abs(low).max(), np.abs(high).max()) for low, high in intervals)
    return tuple(math.inf if math.isnan(value) else float(value) for value in largest)


def observed_bounds(graph: Graph, values: Sequence[np.ndarray], margin: float) -> tuple[float, ...]:
    """The bound of each node by what was observed: `margin` times its largest magnitude.

    No bound is above that by interval arithmetic.

    Args:
        graph: what is computed.
        values: of every node, as observed.
        margin: 1 or more.
    """
    largest = (float(np.abs(v).max(initial=0.0)) * margin for v in values)
    return tuple(min(seen, limit) for seen, limit in zip(largest, bounds(graph), strict=True))


def _interval(node: GraphNode, known: list[ValueInterval], batch: int) -> ValueInterval:
    if isinstance(node, Input):
        return np.full(node.size, node.low), np.full(node.size, node.high)
    if isinstance(node, Linear):
        return _linear_interval(node, known[node.source])
    if isinstance(node, ElementwiseSquare):
        return _square_interval(*_shifted_interval(known[node.source], node.shift))
    if isinstance(node, ElementwiseProduct):
        pairs = zip(node.sources, node.shifts, strict=True)
        return _product_interval(*(_shifted_interval(known[s], shift) for s, shift in pairs))
    if isinstance(node, InnerProduct):
        return _inner_interval(node, known)
    if isinstance(node, Summand):
        low, high = _shifted_interval(known[node.source], node.shift)
        return np.minimum(low, 0.0), np.maximum(high, 0.0)
    if isinstance(node, SlotSum):
        low, high = known[node.source]
        return batch * low, batch * high
    if isinstance(node, Combine):
        terms = zip(node.sources, node.weights, strict=True)
        scaled = [_scaled_interval(known[s], w) for s, w in terms]
        return functools.reduce(np.add, (low for low, _ in scaled)), functools.reduce(
            np.add, (high for _, high in scaled)
        )
    if isinstance(node, Concatenate):
        parts = [known[s] for s in node.sources]
        return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])
    if isinstance(node, Gather):
        return _taken_interval(known[node.source], node.entries)
    if isinstance(node, Bootstrap):
        return known[node.source]
    raise TypeError(f"no interval rule for a {type(node).__name__}")


def _taken_interval(interval: ValueInterval, entries: np.ndarray) -> ValueInterval:
    return _taken(interval[0], entries), _taken(interval[1], entries)


def _taken(values: np.ndarray, entries: np.ndarray) -> np.ndarray:
    return np.where(entries < 0, 0.0, values[entries])


def _linear_interval(node: Linear, source: ValueInterval) -> ValueInterval:
    low, high = _taken_interval(source, node.entries)
    positive, negative = np.maximum(node.weights, 0), np.minimum(node.weights, 0)
    bottom = np.einsum("gok,gkp->gop", positive, low) + np.einsum("gok,gkp->gop", negative, high)
    top = np.einsum("gok,gkp->gop", positive, high) + np.einsum("gok,gkp->gop", negative, low)
    bias = 0.0 if node.bias is None else node.bias
    return bottom.reshape(-1) + bias, top.reshape(-1) + bias


def _shifted_interval(interval: ValueInterval, shift: np.ndarray | None) -> ValueInterval:
    return interval if shift is None else (interval[0] + shift, interval[1] + shift)


def _scaled_interval(interval: ValueInterval, weights: np.ndarray | None) -> ValueInterval:
    if weights is None:
        return interval
    ends = interval[0] * weights, interval[1] * weights
    return np.minimum(*ends), np.maximum(*ends)


def _square_interval(low: np.ndarray, high: np.ndarray) -> ValueInterval:
    largest = np.maximum(low**2, high**2)
    smallest = np.where((low < 0) & (high > 0), 0.0, np.minimum(low**2, high**2))
    return smallest, largest


def _product_interval(first: ValueInterval, second: ValueInterval) -> ValueInterval:
    corners = np.stack([a * b for a in first for b in second])
    return corners.min(0), corners.max(0)


def _inner_interval(node: InnerProduct, known: list[ValueInterval]) -> ValueInterval:
    """The interval of an inner product, term by term, so that memory stays that of the result."""
    pairs = zip(node.sources, node.shifts, strict=True)
    first, second = (_shifted_interval(known[s], shift) for s, shift in pairs)
    low, high = np.zeros(node.size), np.zeros(node.size)
    for left, right in zip(*(e.T for e in node.entries), strict=True):
        bottom, top = _product_interval(_taken_interval(first, left), _taken_interval(second, right))
        low, high = low + bottom, high + top
    return low, high
