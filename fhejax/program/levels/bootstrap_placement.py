"""Where values are bootstrapped: a shortest path over cuts of the graph.

A cut lies between two nodes. What was made before it, is read after it and has spent bits of the modulus
since its last bootstrap is bootstrapped there; the way from a cut to the next costs what the next one
bootstraps, and is open where no value between them spends more bits than there are. For a chain of layers
that is the shortest path over levels and layers; a skip connection is bootstrapped where it is crossed.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from fhejax.program.circuit.graph import Graph, consumers, live_nodes, with_nodes
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import Bootstrap


@dataclasses.dataclass(frozen=True)
class Cut:
    """The bootstraps of some values before node `position` is computed."""

    position: int
    values: tuple[int, ...]


def place_bootstraps(
    graph: Graph, spent: Mapping[int, float], between: float, last: float
) -> tuple[Cut, ...] | None:
    """The cuts at which the fewest ciphertexts are bootstrapped.

    Args:
        graph: without bootstraps.
        spent: the bits that each node takes; of those that are computed within another one, nothing.
        between: bits of the modulus between two bootstraps.
        last: bits after the last one.

    Returns:
        Cuts in order, or None where some node alone takes more bits than there are.
    """
    live = sorted(live_nodes(graph))
    last_reader = {number: max(readers) for number, readers in enumerate(consumers(graph)) if readers}
    cost, before = {0: 0}, {}
    for start in range(len(live)):
        if start not in cost:
            continue
        for stop, values in _ways(graph, live, start, spent, last_reader, between):
            price = cost[start] + sum(graph.nodes[v].size for v in values)
            if price < cost.get(stop, math.inf):
                cost[stop], before[stop] = price, (start, values)
    ends = [start for start in cost if _spends_at_most(graph, live, start, spent, last)]
    if not ends:
        return None
    cuts, place = [], min(ends, key=cost.__getitem__)
    while place:
        start, values = before[place]
        cuts.append(Cut(live[place], values))
        place = start
    return tuple(reversed(cuts))


def _ways(
    graph: Graph,
    live: Sequence[int],
    start: int,
    spent: Mapping[int, float],
    last_reader: Mapping[int, int],
    bits: float,
) -> list[tuple[int, tuple[int, ...]]]:
    """The cuts within `bits` of the one at `start`: their places, and the values bootstrapped there."""
    found: list[tuple[int, tuple[int, ...]]] = []
    depth: dict[int, float] = {}
    for place in range(start, len(live) - 1):
        number = live[place]
        depth[number] = _depth(graph.nodes[number], number, depth, spent)
        if depth[number] > bits:
            break
        crossing = [v for v in depth if last_reader.get(v, -1) > number]
        if all(v in spent for v in crossing):
            found.append((place + 1, tuple(v for v in crossing if depth[v] > 0)))
    return found


def _spends_at_most(
    graph: Graph, live: Sequence[int], start: int, spent: Mapping[int, float], bits: float
) -> bool:
    depth: dict[int, float] = {}
    for number in live[start:]:
        depth[number] = _depth(graph.nodes[number], number, depth, spent)
    return max(depth.values(), default=0.0) <= bits


def _depth(node: Node, number: int, depth: Mapping[int, float], spent: Mapping[int, float]) -> float:
    """The bits that a node's value has spent since the cut."""
    return max((depth.get(s, 0) for s in node.sources), default=0.0) + spent.get(number, 0.0)


def in_order(graph: Graph, cuts: Sequence[Cut]) -> list[tuple[int, bool]]:
    """The nodes of the graph with its bootstraps in order.

    Args:
        graph: without bootstraps.
        cuts: the places of bootstraps.

    Returns:
        For each node its number in `graph`, and whether it is a bootstrap of that node.
    """
    at = {cut.position: cut.values for cut in cuts}
    found: list[tuple[int, bool]] = []
    for number in range(len(graph.nodes)):
        found += [(value, True) for value in at.get(number, ())]
        found.append((number, False))
    return found


def with_bootstraps(graph: Graph, cuts: Sequence[Cut]) -> Graph:
    """The graph in which what comes after a cut reads bootstrapped values; results stay as they were.

    Args:
        graph: without bootstraps.
        cuts: the places of bootstraps.
    """
    nodes: list[Node] = []
    first: dict[int, int] = {}
    current: dict[int, int] = {}
    for place, (number, bootstrapped) in enumerate(in_order(graph, cuts)):
        node = graph.nodes[number]
        if bootstrapped:
            nodes.append(Bootstrap(current[number], node.size, node.label))
        else:
            nodes.append(node.reading(current))
            first[number] = place
        current[number] = place
    return with_nodes(graph, nodes, first)
