"""Pass 5: the same graph in the clear, in fixed point, and with the noise of encryption.

All three are one evaluation: weights as they are or rounded to integers over a scale, and Gaussian noise
of a given deviation added to the values of a node, or not.
"""

from collections.abc import Mapping, Sequence

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
)
from fhejax.program.trace import Graph, Output

Values = np.ndarray


def evaluate(
    graph: Graph,
    arguments: Sequence[Values],
    *,
    weight_bits: int | None = None,
    noise: Mapping[int, float] | None = None,
    seed: int = 0,
) -> list[Values]:
    """The values of every node, float64 [size, sample].

    Args:
        arguments: for each encrypted argument its entries, [size, sample].
        weight_bits: round each node's weights to this many bits of its largest, as the circuit does.
        noise: standard deviation to add to the values of a node.
        seed: of that noise, which is no secret.
    """
    generator = np.random.default_rng(seed)
    values: list[Values] = []
    for number, node in enumerate(graph.nodes):
        result = _node(node, values, arguments, weight_bits)
        if noise and noise.get(number):
            result = result + noise[number] * generator.standard_normal(result.shape)
        values.append(result)
    return values


def quantise(weights: np.ndarray, weight_bits: int) -> tuple[np.ndarray, float]:
    """(integers, factor): weights nearly integers / factor, the largest being 2**weight_bits - 1."""
    largest = float(np.abs(weights).max()) if weights.size else 0.0
    factor = (2.0**weight_bits - 1) / largest if largest else 1.0
    return np.rint(weights * factor), factor


def _rounded(weights: np.ndarray, weight_bits: int | None, exact: bool = False) -> np.ndarray:
    if weight_bits is None or exact:
        return weights
    integers, factor = quantise(weights, weight_bits)
    return integers / factor


def _node(
    node: Node, values: list[Values], arguments: Sequence[Values], weight_bits: int | None
) -> Values:
    if isinstance(node, Input):
        return np.asarray(arguments[node.argument], np.float64)
    if isinstance(node, Linear):
        patches = _taken(values[node.source], node.entries)
        weights = _rounded(node.weights, weight_bits, node.exact)
        total = np.einsum("gok,gkps->gops", weights, patches, optimize=True)
        total = total.reshape(node.size, -1)
        return total if node.bias is None else total + node.bias[:, None]
    if isinstance(node, Square):
        return _shifted(values[node.source], node.shift) ** 2
    if isinstance(node, Multiply):
        pairs = zip(node.sources, node.shifts, strict=True)
        first, second = (_shifted(values[s], shift) for s, shift in pairs)
        return first * second
    if isinstance(node, Combine):
        parts = zip(node.sources, node.weights, strict=True)
        return sum(
            values[s] if w is None else values[s] * _rounded(w, weight_bits)[:, None]
            for s, w in parts
        )
    if isinstance(node, Concatenate):
        return np.concatenate([values[s] for s in node.sources])
    if isinstance(node, Gather):
        return _taken(values[node.source], node.entries)
    raise TypeError(f"no oracle rule for a {type(node).__name__}")


def _taken(values: Values, entries: np.ndarray) -> Values:
    zero = np.zeros((1, values.shape[1]))
    return np.concatenate([values, zero])[np.where(entries < 0, len(values), entries)]


def _shifted(values: Values, shift: np.ndarray | None) -> Values:
    return values if shift is None else values + shift[:, None]


def entries_of(array: np.ndarray, batch_axis: int | None, samples: int) -> Values:
    """An argument as [size, sample]: the batch axis last, one shared value repeated."""
    if batch_axis is None:
        return np.repeat(array.reshape(-1, 1), samples, 1)
    moved = np.moveaxis(array, batch_axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def result_of(output: Output, values: Sequence[Values]) -> np.ndarray:
    """An output in its own shape, from the values of its node, [size, sample]."""
    value = output.value
    if not isinstance(value, Tensor):
        return np.asarray(value)
    return view_values(value, values[value.node])


def view_values(view: Tensor, node_values: Values) -> np.ndarray:
    """multiplier * node[entries] + offset, with the samples along the batch axis."""
    entries = _taken(node_values, view.entries)
    array = view.multiplier[..., None] * entries + view.offset[..., None]
    if view.batch_axis is None:
        return array[..., 0]
    return np.moveaxis(array, -1, view.batch_axis)
