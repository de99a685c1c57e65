"""Shifted replicas: free slots hold copies of a value, and a map that reads these takes fewer diagonals.

A value of period P may repeat itself r times, copy k rotated by k P / r, so that its period is r P. A map to
a result of period P then reads for each coefficient whichever copy it likes, and so at a distance that counts
modulo P / r alone: r diagonals become one, and log2 r rotations add up the r blocks of slots in which their
products lie. The result is one copy again, repeated as it is. What writes shifted copies writes each as
another result, which takes no rotation more where all distances occur anyway, but diagonals of r times the
length. So convolutions that read copies and that write them alternate, and every second one is cheaper.

Copies are equal, and are chosen for a circuit that is packed already: the values of its slots of one period
stay where they are, and copies follow.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.constants import are_streamed
from fhejax.program.circuit.graph import Graph, consumers
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.nodes import ElementwiseSquare, SlotTransform
from fhejax.program.circuit.nodes.in_slots.slot_matrix import (
    SlotMatrix,
    distance_steps,
    key_switches_of,
)

# What a map takes, in hoisted rotations of a deep program on two cores: a giant step is a key switch of its
# own, and a diagonal in all slots that is encoded where it is used takes as long as ten products with it.
_GIANT_COST = 10.0
_PRODUCT_COST = 0.2
_ENCODING_COST = 1.8
_TYPICAL_LIMBS = 32  # by which it is told whether diagonals are held ready for use, and encoded once
_LEAST = 16  # slots by which copies are shifted at least
_LEAST_GAIN = 0.1  # of the cost of all maps, below which the costs above are too rough to tell
_FEW = 4  # coefficients a row, up to which a map may both read and write copies

_MOST_CHOICES = 256  # that are looked at further, where many values are to be read later

Assignment = Mapping[int, int]  # a node -> its copies, where there is more than one
_Live = tuple[tuple[int, int], ...]  # transforms that are read later, and the copies of each
_Choice = tuple[float, dict[int, int]]  # the cost so far, and the copies of all transforms


def with_replicas(graph: Graph, slots: int) -> Graph:
    """The circuit whose values have as many shifted copies as cost least, in the slots that there are anyway.

    Args:
        graph: whose values are slots of one period each.
        slots: of a ring, for which costs are compared.

    Returns:
        The circuit with the same numbers of nodes. What results read stays where it is.
    """
    chosen = _cheapest(graph, slots)
    if not chosen:
        return graph
    nodes = tuple(_with_copies(graph, number, chosen) for number in range(len(graph.nodes)))
    return dataclasses.replace(graph, nodes=nodes)


def shifted_positions(positions: np.ndarray, period: int, copies: int, copy: int | np.ndarray) -> np.ndarray:
    """The slots in which copies of a value lie.

    Args:
        positions: int64 [entry], those of copy 0 within one period.
        period: of the value.
        copies: that there are, a power of two.
        copy: the number k of one, or of one for each entry, which is rotated by k / copies of the period.
    """
    return copy * period + (positions - copy * (period // copies)) % period


def replicated(matrix: SlotMatrix, source: int, result: int) -> SlotMatrix:
    """The map that reads copies and writes copies, by few distances.

    Args:
        matrix: from one period of the source to one of the result.
        source: copies of the source, a power of two.
        result: copies of the result.
    """
    if source == result == 1:
        return matrix
    (period, own), (rows, _) = matrix.periods, matrix.places
    written = [shifted_positions(rows, period, result, copy) for copy in range(result)]
    read = [_chosen(matrix, source, result, rows_of_copy) for rows_of_copy in written]
    places = (np.concatenate(written), np.concatenate(read))
    data = np.tile(matrix.matrix.data, result)
    return SlotMatrix(csr_array((data, places), shape=(period * result, own * source)))


def _chosen(matrix: SlotMatrix, source: int, result: int, rows: np.ndarray) -> np.ndarray:
    """The slot of a copy of the source that each coefficient reads.

    Args:
        matrix: of one period.
        source: copies of the source.
        result: copies of the result.
        rows: slots of the result for each coefficient, of one of its copies.
    """
    own, columns = matrix.periods[1], matrix.places[1]
    if source == 1:
        return columns
    if not _folds(matrix, source, result):  # then the copy in whose slots the result lies
        return shifted_positions(columns, own, source, rows % (source * own) // own)
    shared = own // source
    distances = (columns - rows) % shared
    wanted = np.zeros(shared, np.int64)
    for known, distance in _steps(tuple(np.unique(matrix.distances % shared).tolist()), shared).items():
        wanted[known] = distance
    slot = (rows + wanted[distances]) % own  # of one period: that of the copy which is as far away
    return shifted_positions(columns, own, source, (columns - slot) % own // shared)


def _folds(matrix: SlotMatrix, source: int, result: int) -> bool:
    """Whether blocks of products are added up, so that any copy may be read at a distance that is free."""
    period, own = matrix.periods
    return source > 1 and result == 1 and own // source <= period <= own


@functools.lru_cache(maxsize=256)
def _steps(classes: tuple[int, ...], period: int) -> dict[int, int]:
    """The distance by which each class of distances modulo a period is reached, at the least cost."""
    steps = distance_steps(classes, period)
    return {known: giant + baby for known, (giant, baby) in zip(classes, steps, strict=True)}


def _cost(matrix: SlotMatrix, source: int, result: int, slots: int) -> float:
    """What the map takes that reads copies and writes copies, in hoisted rotations."""
    period, own = matrix.periods[0] * result, matrix.periods[1] * source
    found = _distances(matrix, source, result)
    if found is None:
        return math.inf
    distances, shared = found
    folds = max(1, own // period).bit_length() - 1
    babies, giants = key_switches_of(distance_steps(tuple(distances.tolist()), shared), ())
    is_streamed = are_streamed(len(distances), _TYPICAL_LIMBS, slots)
    encoding = is_streamed * _ENCODING_COST * min(1.0, max(period, own) / slots)
    return babies + _GIANT_COST * (giants + folds) + (_PRODUCT_COST + encoding) * len(distances)


def _distances(matrix: SlotMatrix, source: int, result: int) -> tuple[np.ndarray, int] | None:
    """The distances of that map and what they count modulo; None where it is not worth looking at."""
    (period, own), known = matrix.periods, matrix.distances
    if source == result == 1:
        return known, min(period, own)
    if _folds(matrix, source, result):
        return np.unique(known % (own // source)), own // source
    if source == 1 and period == own:
        shifts = np.arange(result) * (period // result)
        return np.unique((known[:, None] + shifts) % own), own
    if source == 1 or matrix.matrix.nnz <= _FEW * max(period, own):
        whole = replicated(matrix, source, result)
        return whole.distances, min(whole.periods)
    return None


def _groups(graph: Graph) -> list[int | None]:
    """For each node the transform whose copies it has, where it may have some: a transform or its square."""
    found: list[int | None] = []
    for number, node in enumerate(graph.nodes):
        if isinstance(node, SlotTransform) and node.matrices:
            found.append(number)
        else:
            found.append(found[node.source] if isinstance(node, ElementwiseSquare) else None)
    fixed = set()
    for number, readers in enumerate(consumers(graph)):
        if any(r >= 0 and not isinstance(graph.nodes[r], ElementwiseSquare | SlotTransform) for r in readers):
            fixed.add(found[number])
    return [None if group in fixed else group for group in found]


def _cheapest(graph: Graph, slots: int) -> Assignment:
    """The copies of every node that has more than one, at the least cost of all maps together.

    Node after node, for each choice of copies of the values that later ones read, the cheapest for the others
    is kept.
    """
    groups = _groups(graph)
    last = {group: number for number, node in enumerate(graph.nodes) for group in _read(groups, node)}
    best: dict[_Live, _Choice] = {(): (0.0, {})}
    for number, node in enumerate(graph.nodes):
        if not isinstance(node, SlotTransform):
            continue
        costs = functools.cache(functools.partial(_cost_of_term, node, slots))
        is_free = groups[number] == number and number in last
        options = _options(node, graph.least_slots) if is_free else [1]
        following: dict[_Live, _Choice] = {}
        for (total, chosen), copies in itertools.product(best.values(), options):
            sources = [chosen.get(_group(groups, source), 1) for source in node.sources]
            cost = total + sum(costs(term, source, copies) for term, source in enumerate(sources))
            given = chosen | {number: copies}
            live = tuple((group, r) for group, r in given.items() if last.get(group, -1) > number)
            if cost < following.get(live, (math.inf, {}))[0]:
                following[live] = cost, given
        best = _kept(following)
    least, chosen = min(best.values(), key=lambda found: found[0])
    if least > (1 - _LEAST_GAIN) * _cost_without(graph, slots):
        return {}
    copies = {number: chosen.get(_group(groups, number), 1) for number in range(len(groups))}
    return {number: count for number, count in copies.items() if count > 1}


def _cost_without(graph: Graph, slots: int) -> float:
    """What all maps take where no value has copies."""
    transforms = [node for node in graph.nodes if isinstance(node, SlotTransform)]
    return sum(_cost(matrix, 1, 1, slots) for node in transforms for matrix in node.matrices)


def _kept(found: Mapping[_Live, _Choice]) -> dict[_Live, _Choice]:
    """The cheapest choices for the values that are still to be read, and that without copies."""
    names = sorted(found, key=lambda live: found[live][0])
    plain = (live for live in names[_MOST_CHOICES:] if all(copies == 1 for _, copies in live))
    return {live: found[live] for live in (*names[:_MOST_CHOICES], *plain)}


def _group(groups: Sequence[int | None], number: int) -> int:
    """The group of a node; -1 is none."""
    group = groups[number]
    return -1 if group is None else group


def _read(groups: Sequence[int | None], node: Node) -> set[int]:
    """The groups that a node reads."""
    return {_group(groups, source) for source in node.sources}


def _cost_of_term(node: SlotTransform, slots: int, term: int, source: int, result: int) -> float:
    return _cost(node.matrices[term], source, result, slots)


def _options(node: SlotTransform, most: int) -> list[int]:
    """The numbers of copies that a value may have."""
    period = node.matrices[0].periods[0]
    return [2**bit for bit in range((most // period).bit_length()) if period >> bit >= _LEAST]


def _with_copies(graph: Graph, number: int, chosen: Assignment) -> Node:
    """A node of a circuit whose values have copies."""
    node, copies = graph.nodes[number], chosen.get(number, 1)
    if isinstance(node, SlotTransform):
        pairs = zip(node.matrices, node.sources, strict=True)
        matrices = tuple(replicated(matrix, chosen.get(source, 1), copies) for matrix, source in pairs)
        return dataclasses.replace(node, matrices=matrices, bias=_copied(node.bias, copies))
    if isinstance(node, ElementwiseSquare):
        return dataclasses.replace(node, shift=_copied(node.shift, copies))
    return node


def _copied(values: np.ndarray | None, copies: int) -> np.ndarray | None:
    """The slots of all copies of a value, from those of one period."""
    if values is None or copies == 1:
        return values
    period = len(values)
    return np.concatenate([np.roll(values, -copy * (period // copies)) for copy in range(copies)])
