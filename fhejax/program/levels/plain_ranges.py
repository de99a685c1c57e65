"""What every node can hold for all values of plain arguments, from circuits made for a few of them.

Weights that plain arguments decide are told from others by being different in these circuits. They may have
any signs, so that the bound of a sum is that of its terms' magnitudes: none of them is to cancel another.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.ranges import largest_of


def alike(graphs: Sequence[Graph]) -> list[Graph]:
    """The graphs whose nodes are of the same kinds as those of the first, in the same order."""
    kinds = [[(type(node), node.sources) for node in graph.nodes] for graph in graphs]
    return [graph for graph, own in zip(graphs, kinds, strict=True) if own == kinds[0]]


def bounds_for_all(graphs: Sequence[Graph]) -> tuple[float, ...]:
    """The largest magnitude that each node can reach for all ranges of arguments, the plain ones included.

    Args:
        graphs: one circuit, made for several values of the plain arguments.
    """
    intervals: list[ValueInterval] = []
    for nodes in zip(*(graph.nodes for graph in graphs), strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            intervals.append(_interval(nodes, intervals, graphs[0].batch))
    return tuple(map(largest_of, intervals))


def _interval(nodes: Sequence[Node], known: Sequence[ValueInterval], batch: int) -> ValueInterval:
    first = nodes[0]
    if all(_same(node.plain_numbers(), first.plain_numbers()) for node in nodes):
        return first.interval(known, batch)
    magnitudes = {s: np.maximum(*map(np.abs, known[s])) for s in first.sources}
    symmetric: Any = {s: (-size, size) for s, size in magnitudes.items()}
    low, high = _of_largest_numbers(nodes).interval(symmetric, batch)
    size = np.maximum(np.abs(low), np.abs(high))
    return -size, size


def _same(first: Any, other: Any) -> bool:
    """Whether two nodes have the same plain numbers."""
    return all(
        (x is None) == (y is None) and (x is None or np.array_equal(x, y))
        for x, y in zip(first, other, strict=True)
    )


def _of_largest_numbers(nodes: Sequence[Node]) -> Node:
    """The node whose weights and shifts are the largest magnitudes of those of several."""

    def largest(values: Sequence[Any]) -> Any:
        """The largest magnitudes of arrays of numbers; the first of anything else, for all are alike."""
        given = [value for value in values if value is not None]
        if given and isinstance(given[0], tuple):
            return tuple(map(largest, zip(*given, strict=True)))
        if given and isinstance(given[0], np.ndarray) and given[0].dtype.kind == "f":
            return np.max(np.abs(given), 0)
        return values[0]

    node: Any = nodes[0]
    names = [field.name for field in dataclasses.fields(node)]
    return dataclasses.replace(node, **{name: largest([getattr(n, name) for n in nodes]) for name in names})
