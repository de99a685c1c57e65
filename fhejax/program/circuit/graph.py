"""The traced function as a graph: nodes in order, results as views of them, and who reads what."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fhejax.program.arguments import Encrypted, Plain
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.views import Decisions, View


@dataclasses.dataclass(frozen=True, eq=False)
class Output:
    """The description of one result: an encrypted view or a plain array, with its shape and dtype."""

    value: View | np.ndarray
    shape: tuple[int, ...]
    dtype: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """The traced function: nodes in order, results, and how results and arguments are nested.

    Attributes:
        nodes: in order.
        outputs: the results, flat.
        arguments: the descriptions, flat.
        inputs: how arguments are nested.
        results: how results are nested.
        batch: samples of each argument that has a batch axis.
        least_slots: 0 where a slot holds a sample and a value has a row for each ciphertext. Else every block
            holds one sample or a few, and a value has a row for each slot of its period; rings have this many
            or more.
        layouts: of each argument, where a value has a row for each slot: the `Layout` of one sample's entries
            in its period.
        shares_blocks: whether a block holds as many samples as there are periods in its slots, one after the
            other, and not one sample over and over.
        carry: the results that replace arguments of the next call, as pairs of numbers (result, argument).
        decisions: those of the packing, which a call with other plain arguments keeps.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[Output, ...]
    arguments: tuple[Encrypted | Plain, ...]
    inputs: Any
    results: Any
    batch: int
    least_slots: int = 0
    layouts: tuple[Any, ...] = ()
    shares_blocks: bool = False
    carry: tuple[tuple[int, int], ...] = ()
    decisions: Decisions = dataclasses.field(default_factory=dict)


def block_count(graph: Graph, slots: int) -> int:
    """The number of blocks that a batch takes in a ring of so many slots."""
    return -(-graph.batch // samples_together(graph, slots))


def samples_together(graph: Graph, slots: int) -> int:
    """The samples that a block holds in a ring of so many slots."""
    if graph.least_slots:
        return slots // graph.least_slots if graph.shares_blocks else 1
    return slots


def with_nodes(graph: Graph, nodes: Sequence[Node], names: Mapping[int, int]) -> Graph:
    """The graph of other nodes, which know each other by their new numbers, with the same results.

    Args:
        graph: whose results stay.
        nodes: in order.
        names: the new number of every node that a result is a view of.
    """
    outputs = tuple(
        dataclasses.replace(o, value=dataclasses.replace(o.value, node=names[o.value.node]))
        if isinstance(o.value, View)
        else o
        for o in graph.outputs
    )
    return dataclasses.replace(graph, nodes=tuple(nodes), outputs=outputs)


def consumers(graph: Graph) -> tuple[tuple[int, ...], ...]:
    """The nodes that read each node, and -1 where a result does."""
    readers: list[list[int]] = [[] for _ in graph.nodes]
    for number, node in enumerate(graph.nodes):
        for source in dict.fromkeys(node.sources):
            readers[source].append(number)
    for output in graph.outputs:
        if isinstance(output.value, View):
            readers[output.value.node].append(-1)
    return tuple(tuple(r) for r in readers)


def live_nodes(graph: Graph) -> frozenset[int]:
    """The nodes on which some result depends."""
    live = {o.value.node for o in graph.outputs if isinstance(o.value, View)}
    for number in range(len(graph.nodes) - 1, -1, -1):
        if number in live:
            live.update(graph.nodes[number].sources)
    return frozenset(live)


def needs_whole_batch(graph: Graph) -> bool:
    """Whether some sum over the batch is right only if every sample is there."""
    nodes = (graph.nodes[number] for number in live_nodes(graph))
    return any(node.needs_every_sample for node in nodes)


def sums_over_batch(graph: Graph) -> bool:
    """Whether some sum runs over the batch."""
    return any(graph.nodes[number].sums_slots for number in live_nodes(graph))


def depth(graph: Graph) -> int:
    """The number of products of encrypted values in a row, on the longest path."""
    deepest: list[int] = []
    for node in graph.nodes:
        before = max((deepest[s] for s in node.sources), default=0)
        deepest.append(before + node.multiplies)
    return max(deepest, default=0)
