"""How noise at each node shows in a result: its derivative, backwards once for all nodes.

Noise is independent between ciphertexts and between slots, so that its effect on a result is the sum of
squares of a Jacobian J. With random signs v that sum is the mean of |v J|^2 (Hutchinson 1989), for all
nodes in one pass; a result of few numbers is taken number by number, exactly.

The slots of one ciphertext are nearly independent: an element of the conjugate-invariant ring is f_0 + sum of
f_i (X^i + X^-i), so that its covariance over N slots is 2 N V (I - 1 1^T / 2 N). The mean of all slots,
which is f_0, has half the variance that independent slots would give it.
"""

from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.nodes import CiphertextOf
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Values, scattered
from fhejax.program.circuit.views import View

_PROBES = 4
_LARGEST_EXACT = 16


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
    """The gradient over every node's values, or None where the result does not depend on it.

    What reads one of many ciphertexts adds to a part of their gradient in place.
    """
    adjoints: list[Values | None] = [None] * len(graph.nodes)
    adjoints[view.node] = scattered(gradient, view.entries.reshape(-1), len(values[view.node]))
    own: set[int] = set()  # of which the gradient is an array made here
    for number in range(len(graph.nodes) - 1, -1, -1):
        adjoint, node = adjoints[number], graph.nodes[number]
        if adjoint is None:
            continue
        if isinstance(node, CiphertextOf):
            before = adjoints[node.source]
            if node.source not in own or before is None:
                total = np.zeros((node.count * len(adjoint), adjoint.shape[1]))
                adjoints[node.source] = before = total if before is None else total + before
                own.add(node.source)
            before[node.place * len(adjoint) :][: len(adjoint)] += adjoint
            continue
        for source, part in node.adjoints(values, adjoint, slots):
            before = adjoints[source]
            adjoints[source] = part if before is None else before + part
            own = own - {source} if before is None else own | {source}
    return adjoints
