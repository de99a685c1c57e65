"""Pass 5: the same graph in the clear, in fixed point, and with the noise of encryption.

All three are one evaluation: weights as they are or rounded to integers over a scale, and Gaussian noise
of a given deviation added to the values of a node, or not. A column is a sample or, where noise in empty
and repeated slots matters, a slot.
"""

from collections.abc import Mapping, Sequence

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
from fhejax.program.circuit.slots import Slots

Values = np.ndarray


def evaluate_graph(
    graph: Graph,
    arguments: Sequence[Values],
    *,
    rounding: Mapping[int, tuple[float, ...]] | None = None,
    noise: Mapping[int, float] | None = None,
    seed: int = 0,
    slots: Slots | None = None,
) -> list[Values]:
    """The values of every node, float64 [size, sample].

    Args:
        arguments: for each encrypted argument its entries, [size, sample].
        rounding: per node, weights w become the integers nearest to w times this factor, over it, as the
            circuit has them.
        noise: standard deviation to add to the values of a node.
        seed: of that noise, which is no secret.
        slots: where the columns are slots; by default each is a sample, and all are summed.
    """
    generator = np.random.default_rng(seed)
    values: list[Values] = []
    for number, node in enumerate(graph.nodes):
        factors = rounding.get(number) if rounding else None
        with np.errstate(over="ignore", invalid="ignore"):
            result = evaluate_node(node, values, arguments, factors, slots)
        if noise and noise.get(number):
            result = result + noise[number] * generator.standard_normal(result.shape)
        values.append(result)
    return values


def weight_factor(weights: np.ndarray, weight_bits: int) -> float:
    """The factor that makes the largest weight 2**weight_bits - 1."""
    largest = float(max(weights.max(initial=0.0), -weights.min(initial=0.0)))
    return (2.0**weight_bits - 1) / largest if largest else 1.0


def _rounded_weights(weights: np.ndarray, factor: float) -> np.ndarray:
    return np.rint(weights * factor) / factor


def evaluate_node(
    node: GraphNode,
    values: list[Values],
    arguments: Sequence[Values],
    factors: tuple[float, ...] | None,
    slots: Slots | None,
) -> Values:
    """The values of one node from those of the nodes before it; arguments as of `evaluate_graph`.

    Raises:
        TypeError: a kind of node that has no rule.
    """
    if isinstance(node, Input):
        return np.asarray(arguments[node.argument], np.float64)
    if isinstance(node, Linear):
        patches = taken(values[node.source], node.entries)
        weights = _rounded_weights(node.weights, factors[0]) if factors else node.weights
        total = np.einsum("gok,gkps->gops", weights, patches, optimize=True)
        total = total.reshape(node.size, -1)
        return total if node.bias is None else total + node.bias[:, None]
    if isinstance(node, ElementwiseSquare):
        return shifted(values[node.source], node.shift) ** 2
    if isinstance(node, ElementwiseProduct):
        pairs = zip(node.sources, node.shifts, strict=True)
        first, second = (shifted(values[s], shift) for s, shift in pairs)
        return first * second
    if isinstance(node, InnerProduct):
        return _evaluate_inner_product(node, values)
    if isinstance(node, Summand):
        terms = shifted(values[node.source], node.shift)
        return terms * slots.live if node.masked and slots else terms
    if isinstance(node, SlotSum):
        return _evaluate_slot_sum(values[node.source], slots)
    if isinstance(node, Combine):
        return _evaluate_combination(node, values, factors)
    if isinstance(node, Concatenate):
        return np.concatenate([values[s] for s in node.sources])
    if isinstance(node, Gather):
        return taken(values[node.source], node.entries)
    if isinstance(node, Bootstrap):
        return values[node.source]
    raise TypeError(f"no oracle rule for a {type(node).__name__}")


def _evaluate_inner_product(node: InnerProduct, values: list[Values]) -> Values:
    pairs = zip(node.sources, node.shifts, strict=True)
    first, second = (shifted(values[s], shift) for s, shift in pairs)
    total = np.zeros((node.size, first.shape[1]))
    for left, right in zip(*(e.T for e in node.entries), strict=True):
        total += taken(first, left) * taken(second, right)
    return total


def _evaluate_slot_sum(values: Values, slots: Slots | None) -> Values:
    if slots is None:
        return np.repeat(values.sum(1, keepdims=True), values.shape[1], 1)
    return window_sums(values, slots.period)


def window_sums(values: Values, length: int) -> Values:
    """The sum of each column and the next length - 1, cyclically."""
    doubled = np.concatenate([values, values[:, : length - 1]], 1)
    totals = np.cumsum(np.pad(doubled, ((0, 0), (1, 0))), 1)
    return totals[:, length:] - totals[:, :-length]


def _evaluate_combination(node: Combine, values: list[Values], factors: tuple[float, ...] | None) -> Values:
    total = np.zeros(1)
    for term, (source, weights) in enumerate(zip(node.sources, node.weights, strict=True)):
        column = np.ones((node.size, 1)) if weights is None else weights[:, None]
        total = total + values[source] * (_rounded_weights(column, factors[term]) if factors else column)
    return total


def taken(values: Values, entries: np.ndarray) -> Values:
    """The rows of values that entries name, zero where an entry is -1."""
    zero = np.zeros((1, values.shape[1]))
    return np.concatenate([values, zero])[np.where(entries < 0, len(values), entries)]


def shifted(values: Values, shift: np.ndarray | None) -> Values:
    """The values with a node's shift added."""
    return values if shift is None else values + shift[:, None]
