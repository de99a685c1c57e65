"""The circuit of a call: the planned steps, or, where plain arguments come with the call, steps for them."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.constants import encode_constants
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.ranges import bounds, check_finite
from fhejax.program.circuit.simplification import simplify
from fhejax.program.levels.bootstrap_placement import Cut, with_bootstraps
from fhejax.program.levels.plan import ProgramPlan, dropped_primes, placed
from fhejax.program.packing.packings import packed
from fhejax.program.tensor.graph import TensorGraph


@dataclasses.dataclass(frozen=True, eq=False)
class CompilationRecord:
    """The knowledge of compiling that a server of a fixed program does not need.

    Attributes:
        traced: the function, from which the graph is made anew for new plain arguments.
        packing: the name of the packing in which it is made.
        graph: the circuit, with its bootstraps.
        lowered: its steps, with levels counted from the top.
        limits: observed bounds of the nodes, where those are used; else rigorous ones are made for the
            arguments of each call.
        cuts: where the graph is bootstrapped.
    """

    traced: TensorGraph
    packing: str
    graph: Graph
    lowered: Lowered
    limits: tuple[float, ...] | None = None
    cuts: tuple[Cut, ...] = ()


def graph_with_plain(source: CompilationRecord, plain: Sequence[np.ndarray]) -> Graph:
    """The graph for these plain arguments, with bootstraps where the program has them.

    Args:
        source: what compiling knew.
        plain: values of the plain arguments, in order.

    Raises:
        ValueError: weights that are not finite, or bootstraps that would be in other places.
    """
    graph = source.graph
    made = packed(source.traced.with_plain(plain), source.packing)
    check_finite(made)
    simple = simplify(made)
    bootstraps = sum(len(cut.values) for cut in source.cuts)
    if source.cuts and len(simple.nodes) + bootstraps != len(graph.nodes):
        raise ValueError(
            "the plain arguments of this call make another circuit than the program was planned for, whose "
            "bootstraps are in other places; compile with values like these, closed over."
        )
    return with_bootstraps(simple, source.cuts)


def specialise(plan: ProgramPlan, source: CompilationRecord, plain: Sequence[np.ndarray]) -> Circuit:
    """The circuit for these plain arguments, under the planned parameters and weight scales.

    Args:
        plan: of the program.
        source: what compiling knew.
        plain: values of the plain arguments, in order.

    Raises:
        ValueError: when the values make a circuit that the plan does not hold.
    """
    graph = graph_with_plain(source, plain)
    kinds = [type(node) for node in graph.nodes]
    same = kinds == [type(node) for node in source.graph.nodes]
    limits = source.limits if same and source.limits else bounds(graph)
    params, top = plan.params, plan.top_level
    lowered = lower(
        graph,
        limits,
        plan.settings,
        dropped_primes(params, top),
        source.lowered.factors if same else None,
    )
    if lowered.drops > top or lowered.base_bits > source.lowered.base_bits + 0.5:
        raise ValueError(
            "the plain arguments of this call make values larger than the program was planned for, which "
            "could overflow; compile with a range for them that holds these values at their largest."
        )
    steps, registers = placed(graph, lowered, top)
    return Circuit(steps, encode_constants(lowered.constants, params, top), registers, graph.outputs)
