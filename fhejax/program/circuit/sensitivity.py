"""How noise at each node shows in a result: its derivative, backwards once for all nodes.

Noise is independent between ciphertexts and between slots, so that its effect on a result is the sum of
squares of a Jacobian J. With random signs v that sum is the mean of |v J|^2 (Hutchinson 1989), for all
nodes in one pass; a result of few numbers is taken number by number, exactly.

The slots of one ciphertext are nearly independent: an element of the conjugate-invariant ring is f_0 + sum of
f_i (X^i + X^-i), so that its covariance over N slots is 2 N V (I - 1 1^T / 2 N). The mean of all slots,
which is f_0, has half the variance that independent slots would give it.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from fhejax.program.circuit.evaluation import Values, shifted, taken, window_sums
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
    Linear,
    SlotSum,
    Summand,
    sources,
)
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.views import View

_PROBES = 4
_LARGEST_EXACT = 16
_Parts = Iterator[tuple[int, Values]]


def noise_gains(graph: Graph, values: Sequence[Values], view: View, slots: Slots | None = None) -> np.ndarray:
    """The error of a result for noise of deviation one in all values of a node, for each node.

    Args:
        graph: as evaluated.
        values: of every node, from `evaluate_graph`.
        view: the result. One that all samples share is the mean over columns, as it is decrypted.
        slots: those of the evaluation.

    Returns:
        float64 [node], root mean squares over the result.
    """
    directions, count = _directions(view, values[view.node].shape[1])
    total = np.zeros(len(graph.nodes))
    for direction in directions:
        adjoints = _backwards(graph, values, view, direction, slots)
        total += [0.0 if a is None else _variance(a, slots, view.batch_axis is None) for a in adjoints]
    return np.sqrt(total / count)


def _variance(gradient: Values, slots: Slots | None, shared: bool) -> float:
    """The variance of a result with this gradient over values with noise of deviation one in every slot."""
    total = np.vdot(gradient, gradient)
    if slots is None and not shared:
        return float(total)
    width = gradient.shape[1] if slots is None else slots.width
    means = gradient.reshape(len(gradient), -1, width).sum(2)
    return float(total - np.vdot(means, means) / (2 * width))


def _directions(view: View, columns: int) -> tuple[list[Values], int]:
    """The gradients over the view's entries, and what the sum of their squares is divided by."""
    shared = view.batch_axis is None
    shape = (view.entries.size, 1 if shared else columns)
    size = shape[0] * shape[1]
    if size <= _LARGEST_EXACT:
        probes, count = np.eye(size).reshape(-1, *shape), size
    else:
        probes = np.random.default_rng(0).choice([-1.0, 1.0], (_PROBES, *shape))
        count = size * _PROBES
    factor = view.multiplier.reshape(-1, 1) / (columns if shared else 1)
    return [np.broadcast_to(probe * factor, (shape[0], columns)) for probe in probes], count


def _backwards(
    graph: Graph, values: Sequence[Values], view: View, gradient: Values, slots: Slots | None
) -> list[Values | None]:
    """The gradient over every node's values, or None where the result does not depend on it."""
    adjoints: list[Values | None] = [None] * len(graph.nodes)
    adjoints[view.node] = _scattered(gradient, view.entries.reshape(-1), len(values[view.node]))
    for number in range(len(graph.nodes) - 1, -1, -1):
        adjoint = adjoints[number]
        if adjoint is None or not sources(graph.nodes[number]):
            continue
        for source, part in _parts(graph.nodes[number], values, adjoint, slots):
            before = adjoints[source]
            adjoints[source] = part if before is None else before + part
    return adjoints


def _parts(node: GraphNode, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> _Parts:
    """The parts of a node's gradient that go to each of its sources."""
    if isinstance(node, Linear):
        weighted = np.einsum("gok,gops->gkps", node.weights, _grouped_adjoint(node, adjoint), optimize=True)
        entries = node.entries.reshape(-1)
        yield node.source, _scattered(weighted.reshape(len(entries), -1), entries, len(values[node.source]))
    elif isinstance(node, ElementwiseSquare):
        yield node.source, 2 * shifted(values[node.source], node.shift) * adjoint
    elif isinstance(node, ElementwiseProduct):
        yield from _product_parts(node, values, adjoint)
    elif isinstance(node, InnerProduct):
        yield from _inner_parts(node, values, adjoint)
    elif isinstance(node, Combine):
        for source, weights in zip(node.sources, node.weights, strict=True):
            yield source, adjoint if weights is None else adjoint * weights[:, None]
    elif isinstance(node, Concatenate):
        sizes = [len(values[s]) for s in node.sources]
        yield from zip(node.sources, np.split(adjoint, np.cumsum(sizes)[:-1]), strict=True)
    elif isinstance(node, Gather):
        yield node.source, _scattered(adjoint, node.entries, len(values[node.source]))
    elif isinstance(node, Summand):
        yield node.source, adjoint * slots.live if node.masked and slots else adjoint
    elif isinstance(node, SlotSum):
        yield node.source, _sum_parts(adjoint, slots)
    elif isinstance(node, Bootstrap):
        yield node.source, adjoint
    else:
        raise TypeError(f"no derivative for a {type(node).__name__}")


def _grouped_adjoint(node: Linear, adjoint: Values) -> np.ndarray:
    groups, outputs, _ = node.weights.shape
    return adjoint.reshape(groups, outputs, node.entries.shape[2], -1)


def _product_parts(node: ElementwiseProduct, values: Sequence[Values], adjoint: Values) -> _Parts:
    pairs = zip(node.sources, node.shifts, strict=True)
    first, second = (shifted(values[s], shift) for s, shift in pairs)
    yield node.sources[0], adjoint * second
    yield node.sources[1], adjoint * first


def _inner_parts(node: InnerProduct, values: Sequence[Values], adjoint: Values) -> _Parts:
    pairs = zip(node.sources, node.shifts, strict=True)
    operands = [shifted(values[s], shift) for s, shift in pairs]
    for left, right in zip(*(e.T for e in node.entries), strict=True):
        for side, (own, other) in enumerate(((left, right), (right, left))):
            part = adjoint * taken(operands[1 - side], other)
            yield node.sources[side], _scattered(part, own, len(operands[side]))


def _sum_parts(adjoint: Values, slots: Slots | None) -> Values:
    """The gradient over what is summed: a column is part of the sums that begin at it and before it."""
    period = adjoint.shape[1] if slots is None else slots.period
    return np.roll(window_sums(adjoint, period), period - 1, 1)


def _scattered(rows: Values, entries: np.ndarray, size: int) -> Values:
    """The rows added up where `entries` says, [size, column]; an entry of -1 is nowhere."""
    result = np.zeros((size + 1, rows.shape[1]))  # the last row takes what is nowhere
    order = np.argsort(entries, kind="stable")
    targets, starts = np.unique(entries[order], return_index=True)
    result[targets] = np.add.reduceat(rows[order], starts, axis=0)
    return result[:size]
