"""The simplification of a circuit: the same values in fewer and cheaper nodes."""

import dataclasses
from typing import Any

import numpy as np

from fhejax.program.circuit.graph import Graph, consumers, live_nodes, with_nodes
from fhejax.program.circuit.nodes import Combine, ElementwiseSquare, Input, Linear


def simplify(graph: Graph) -> Graph:
    """The graph in fewer and cheaper nodes; the values of the remaining ones are the same."""
    return without_dead_nodes(fold_shifts(merge_combinations(merge_equal(graph))))


def merge_equal(graph: Graph) -> Graph:
    """The graph in which nodes that compute the same are one: a polynomial's derivative shares its powers."""
    nodes = list(graph.nodes)
    first: dict[Any, int] = {}
    same: dict[int, int] = {}
    for number, node in enumerate(nodes):
        nodes[number] = node = node.reading(same)
        same[number] = number if isinstance(node, Input) else first.setdefault(_node_signature(node), number)
    return with_nodes(graph, nodes, same)


def _node_signature(node: Any) -> tuple:
    """The key of all that decides a node's values."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(plain, value))
        return (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value

    fields = (f.name for f in dataclasses.fields(node) if f.name != "label")
    return (type(node), *(plain(getattr(node, name)) for name in fields))


def merge_combinations(graph: Graph) -> Graph:
    """The graph in which a sum takes the terms of sums that nothing else reads: weights align once."""
    readers = consumers(graph)
    merged = {
        number
        for number, node in enumerate(graph.nodes)
        if isinstance(node, Combine) and _is_term_alone(graph, readers[number])
    }
    nodes = list(graph.nodes)
    for number, node in enumerate(graph.nodes):
        if isinstance(node, Combine) and number not in merged:
            terms = _terms(graph, node, merged)
            weights = tuple(None if (w == 1.0).all() else w for w in terms.values())
            nodes[number] = dataclasses.replace(node, sources=tuple(terms), weights=weights)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _is_term_alone(graph: Graph, readers: tuple[int, ...]) -> bool:
    """Whether a node is read by one other, a sum, and by no result."""
    return len(readers) == 1 and readers[0] >= 0 and isinstance(graph.nodes[readers[0]], Combine)


def _terms(graph: Graph, node: Combine, merged: set[int]) -> dict[int, np.ndarray]:
    """The terms of a sum with its weights, in order, those of merged sums in their places."""
    terms: dict[int, np.ndarray] = {}
    left = [(node, np.ones(node.size))]
    waiting: list[tuple[int, np.ndarray]] = []
    while left or waiting:
        if left:
            inner, outer = left.pop()
            pairs = zip(inner.sources, inner.weights, strict=True)
            waiting += [(s, outer if w is None else outer * w) for s, w in pairs][::-1]
        number, weights = waiting.pop()
        within = graph.nodes[number]
        if number in merged and isinstance(within, Combine):
            left.append((within, weights))
        else:
            terms[number] = terms.get(number, 0.0) + weights
    return terms


def without_dead_nodes(graph: Graph) -> Graph:
    """The graph without nodes on which no result depends; arguments stay."""
    live = live_nodes(graph)
    kept = [n for n, node in enumerate(graph.nodes) if n in live or isinstance(node, Input)]
    names = {number: place for place, number in enumerate(kept)}
    return with_nodes(graph, [graph.nodes[number].reading(names) for number in kept], names)


def fold_shifts(graph: Graph) -> Graph:
    """The graph in which the shift of a square lies in the bias of the linear node before it.

    Where nothing else reads that node, the sum is then made while the products are.
    """
    readers = consumers(graph)
    nodes = list(graph.nodes)
    for number, node in enumerate(nodes):
        if not isinstance(node, ElementwiseSquare) or node.shift is None:
            continue
        before = nodes[node.source]
        if isinstance(before, Linear) and readers[node.source] == (number,):
            bias = node.shift if before.bias is None else before.bias + node.shift
            nodes[node.source] = dataclasses.replace(before, bias=bias)
            nodes[number] = dataclasses.replace(node, shift=None)
    return dataclasses.replace(graph, nodes=tuple(nodes))
