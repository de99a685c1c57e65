"""The same circuit in the clear, in fixed point, and with the noise of encryption.

All three are one evaluation: weights as they are or rounded to integers over a scale, and Gaussian noise
of a given deviation added to the values of a node, or not. A column is a sample or, where noise in empty
and repeated slots matters, a slot.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.node import Evaluation
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Values


def evaluate_graph(
    graph: Graph,
    arguments: Sequence[Values],
    *,
    rounding: Mapping[int, tuple[float, ...]] | None = None,
    noise: Mapping[int, float] | None = None,
    seed: int = 0,
    slots: Slots | None = None,
    representable: Mapping[int, float] | None = None,
) -> list[Values]:
    """The values of every node, float64 [size, sample].

    Args:
        graph: to be evaluated.
        arguments: for each encrypted argument its entries, [size, sample].
        rounding: per node, weights w become the integers nearest to w times this factor, over it, as the
            steps have them.
        noise: standard deviation to add to the values of a node.
        seed: of that noise, which is no secret.
        representable: per node, the magnitude from which on values wrap around, as they do modulo Q.
        slots: where the columns are slots; by default each is a sample, and all are summed.
    """
    generator = np.random.default_rng(seed)
    values: list[Values] = []
    for number, node in enumerate(graph.nodes):
        factors = rounding.get(number) if rounding else None
        with np.errstate(over="ignore", invalid="ignore"):
            result = node.evaluate(Evaluation(values, arguments, factors, slots))
        if noise and noise.get(number):
            result = result + noise[number] * generator.standard_normal(result.shape)
        if representable and number in representable:
            result = _wrapped(result, representable[number])
        values.append(result)
    return values


def _wrapped(values: Values, largest: float) -> Values:
    """The values modulo 2 * largest, around zero; those that fit are left as they are."""
    outside = ~(np.abs(values) <= largest)
    if not outside.any():
        return values
    with np.errstate(invalid="ignore"):
        return np.where(outside, np.mod(values + largest, 2 * largest) - largest, values)
