"""A circuit and a few settings to steps, node by node.

Rescales wait until a value is about to be multiplied and its scale is worth a prime; three components are
relinearised on the side of a linear layer that has fewer ciphertexts, and never at the output.
"""

from collections.abc import Mapping

import numpy as np

from fhejax.program.circuit.graph import Graph, live_nodes
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.lowering.state import Lowering


def lower(
    graph: Graph,
    bounds: tuple[float, ...],
    settings: Settings,
    levels: Levels | None = None,
    factors: Mapping[int, tuple[float, ...]] | None = None,
) -> Lowered:
    """The steps of a graph under the planner's settings.

    Args:
        graph: what to compute.
        bounds: largest magnitude of each node.
        settings: what the planner chose, or, without levels, arrays of all that it may choose.
        levels: of the parameters; by default primes are numbers of the nominal size, which is all that the
            search for settings needs (constants are then not made).
        factors: what each node's weights are multiplied by before rounding; by default what makes the
            largest weight fill `weight_bits`.
    """
    lowering = Lowering(graph, bounds, settings, levels, factors)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what has no bound fits nowhere
        for number in sorted(live_nodes(graph)):
            _lower_node(lowering, number)
        return lowering.result()


def _lower_node(lowering: Lowering, number: int) -> None:
    """Emit the steps of one node and remember its register."""
    register = lowering.graph.nodes[number].lower(lowering, number)
    if register is None:
        return
    multiplied_next = any(n.multiplies for n in lowering.nodes_after(number))
    if multiplied_next or lowering.relinearises_before_linear(number, register):
        register = lowering.reduce(number, register)
    lowering.registers[number] = register
    lowering.need(number, register)
