"""Pass 2: what every node can hold, and who reads it."""

import dataclasses

import numpy as np

from fhejax.program.graph import (
    Combine,
    Concatenate,
    Gather,
    Input,
    Linear,
    Multiply,
    Node,
    Square,
    Tensor,
    sources,
)
from fhejax.program.trace import Graph

Interval = tuple[np.ndarray, np.ndarray]


def fold_shifts(graph: Graph) -> Graph:
    """Move the shift of a square into the bias of the linear node before it.

    Where nothing else reads that node, the sum is then made while the products are.
    """
    readers = consumers(graph)
    nodes = list(graph.nodes)
    for number, node in enumerate(nodes):
        if not isinstance(node, Square) or node.shift is None:
            continue
        before = nodes[node.source]
        if isinstance(before, Linear) and readers[node.source] == (number,):
            bias = node.shift if before.bias is None else before.bias + node.shift
            nodes[node.source] = dataclasses.replace(before, bias=bias)
            nodes[number] = dataclasses.replace(node, shift=None)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def check_finite(graph: Graph) -> None:
    """Refuse weights that are NaN or infinite.

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
        if isinstance(view, Tensor) and not np.isfinite([view.multiplier, view.offset]).all():
            raise ValueError(
                "a result of the function is scaled or shifted by NaN or infinite weights; look at how "
                "they were trained."
            )


def consumers(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """For each node the nodes that read it, and -1 where a result does."""
    readers: list[list[int]] = [[] for _ in graph.nodes]
    for number, node in enumerate(graph.nodes):
        for source in dict.fromkeys(sources(node)):
            readers[source].append(number)
    for output in graph.outputs:
        if isinstance(output.value, Tensor):
            readers[output.value.node].append(-1)
    return tuple(tuple(r) for r in readers)


def live_nodes(graph: Graph) -> frozenset[int]:
    """The nodes on which some result depends."""
    live = {o.value.node for o in graph.outputs if isinstance(o.value, Tensor)}
    for number in range(len(graph.nodes) - 1, -1, -1):
        if number in live:
            live.update(sources(graph.nodes[number]))
    return frozenset(live)


def bounds(graph: Graph) -> tuple[float, ...]:
    """The largest magnitude each node can reach, by interval arithmetic over the ranges of arguments."""
    intervals: list[Interval] = []
    for node in graph.nodes:
        intervals.append(_interval(node, intervals))
    return tuple(float(max(np.abs(low).max(), np.abs(high).max())) for low, high in intervals)


def _interval(node: Node, known: list[Interval]) -> Interval:
    if isinstance(node, Input):
        return np.full(node.size, node.low), np.full(node.size, node.high)
    if isinstance(node, Linear):
        return _linear_interval(node, known[node.source])
    if isinstance(node, Square):
        return _square_interval(*_shifted(known[node.source], node.shift))
    if isinstance(node, Multiply):
        pairs = zip(node.sources, node.shifts, strict=True)
        return _product_interval(*(_shifted(known[s], shift) for s, shift in pairs))
    if isinstance(node, Combine):
        parts = zip(node.sources, node.weights, strict=True)
        scaled = [_scaled(known[s], w) for s, w in parts]
        return sum(low for low, _ in scaled), sum(high for _, high in scaled)
    if isinstance(node, Concatenate):
        return tuple(np.concatenate([known[s][i] for s in node.sources]) for i in (0, 1))
    if isinstance(node, Gather):
        return tuple(_taken(side, node.entries) for side in known[node.source])
    raise TypeError(f"no interval rule for a {type(node).__name__}")


def _taken(values: np.ndarray, entries: np.ndarray) -> np.ndarray:
    return np.where(entries < 0, 0.0, values[entries])


def _linear_interval(node: Linear, source: Interval) -> Interval:
    low, high = (_taken(side, node.entries) for side in source)
    positive, negative = np.maximum(node.weights, 0), np.minimum(node.weights, 0)
    bottom = np.einsum("gok,gkp->gop", positive, low) + np.einsum("gok,gkp->gop", negative, high)
    top = np.einsum("gok,gkp->gop", positive, high) + np.einsum("gok,gkp->gop", negative, low)
    bias = 0.0 if node.bias is None else node.bias
    return bottom.reshape(-1) + bias, top.reshape(-1) + bias


def _shifted(interval: Interval, shift: np.ndarray | None) -> Interval:
    return interval if shift is None else (interval[0] + shift, interval[1] + shift)


def _scaled(interval: Interval, weights: np.ndarray | None) -> Interval:
    if weights is None:
        return interval
    ends = interval[0] * weights, interval[1] * weights
    return np.minimum(*ends), np.maximum(*ends)


def _square_interval(low: np.ndarray, high: np.ndarray) -> Interval:
    largest = np.maximum(low**2, high**2)
    smallest = np.where((low < 0) & (high > 0), 0.0, np.minimum(low**2, high**2))
    return smallest, largest


def _product_interval(first: Interval, second: Interval) -> Interval:
    corners = np.stack([a * b for a in first for b in second])
    return corners.min(0), corners.max(0)


def depth(graph: Graph) -> int:
    """Products of encrypted values in a row, on the longest path."""
    deepest: list[int] = []
    for node in graph.nodes:
        before = max((deepest[s] for s in sources(node)), default=0)
        deepest.append(before + isinstance(node, (Square, Multiply)))
    return max(deepest, default=0)
