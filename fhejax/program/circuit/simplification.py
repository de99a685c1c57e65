"""The simplification of a circuit: the same values in fewer and cheaper nodes."""

import dataclasses
from typing import Any

import numpy as np

from fhejax.program.circuit.graph import Graph, consumers
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import Combine, ElementwiseSquare, Input, Linear
from fhejax.program.circuit.views import View


def simplify(graph: Graph) -> Graph:
    """The graph in fewer and cheaper nodes; the values of the remaining ones are the same."""
    return fold_shifts(merge_combinations(merge_equal(graph)))


def merge_equal(graph: Graph) -> Graph:
    """The graph in which nodes that compute the same are one: a polynomial's derivative shares its powers."""
    nodes = list(graph.nodes)
    first: dict[Any, int] = {}
    same: dict[int, int] = {}
    for number, node in enumerate(nodes):
        nodes[number] = node = node.reading(same)
        same[number] = number if isinstance(node, Input) else first.setdefault(_node_signature(node), number)
    outputs = tuple(
        dataclasses.replace(o, value=dataclasses.replace(o.value, node=same[o.value.node]))
        if isinstance(o.value, View)
        else o
        for o in graph.outputs
    )
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


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
    nodes = list(graph.nodes)
    for number, node in enumerate(nodes):
        if not isinstance(node, Combine):
            continue
        terms: dict[int, np.ndarray] = {}
        for source, weights in zip(node.sources, node.weights, strict=True):
            outer = np.ones(node.size) if weights is None else weights
            for term, inner in _terms(nodes, source, readers[source] == (number,)):
                terms[term] = terms.get(term, 0.0) + (outer if inner is None else outer * inner)
        weights = tuple(None if (w == 1.0).all() else w for w in terms.values())
        nodes[number] = dataclasses.replace(node, sources=tuple(terms), weights=weights)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _terms(nodes: list[Node], number: int, private: bool) -> list[tuple[int, np.ndarray | None]]:
    """The terms that a term of a sum stands for: its own, where it is itself a sum and read here alone."""
    node = nodes[number]
    if private and isinstance(node, Combine):
        return list(zip(node.sources, node.weights, strict=True))
    return [(number, None)]


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
