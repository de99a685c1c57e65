"""The circuit of a call: the planned steps, or, where plain arguments come with the call, steps for them."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from fhejax.program.arguments import Plain
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.constants import encode_constants
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.ranges import bounds, check_finite
from fhejax.program.circuit.reading import reading_of
from fhejax.program.circuit.simplification import simplify
from fhejax.program.circuit.views import View
from fhejax.program.levels.bootstrap_placement import Cut, with_bootstraps
from fhejax.program.levels.plan import ProgramPlan, dropped_primes, placed
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.packing.packings import packed
from fhejax.program.report import ConsideredPacking
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
        sample: typical arguments, [size, sample] each, on which precision is predicted.
        precision_bits: that were asked for.
        considered: the packings that were compared.
    """

    traced: TensorGraph
    packing: str
    graph: Graph
    lowered: Lowered
    limits: tuple[float, ...] | None = None
    cuts: tuple[Cut, ...] = ()
    sample: tuple[np.ndarray, ...] = ()
    precision_bits: float = 0.0
    considered: tuple[ConsideredPacking, ...] = ()

    @functools.cached_property
    def signature(self) -> tuple:
        """What tells programs of equal plans apart under jit: their arguments and results, not their making.

        Where plain arguments come with a call, its steps are made from the record, which then is what it is.
        """
        graph = self.graph
        axes = [o.value.batch_axis if isinstance(o.value, View) else "plain" for o in graph.outputs]
        pairs = zip(graph.outputs, axes, strict=True)
        results = tuple((output.shape, np.dtype(output.dtype), axis) for output, axis in pairs)
        own = id(self) if any(isinstance(a, Plain) for a in graph.arguments) else None
        return graph.arguments, graph.inputs, graph.results, results, own

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompilationRecord) and self.signature == other.signature

    def __hash__(self) -> int:
        return hash(self.signature)


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


@dataclasses.dataclass(frozen=True, eq=False)
class SpecialisedCircuit:
    """The circuit for some plain arguments, and how it was lowered.

    Attributes:
        graph: the circuit's nodes and results.
        lowered: its steps, and how weights are rounded.
        circuit: what runs.
    """

    graph: Graph
    lowered: Lowered
    circuit: Circuit


def specialise(
    plan: ProgramPlan, source: CompilationRecord, plain: Sequence[np.ndarray]
) -> SpecialisedCircuit:
    """The circuit for these plain arguments, under the planned parameters.

    Weights are rounded as planned, or to as many bits of their own where they are smaller; that only if
    all still fits.

    Args:
        plan: of the program.
        source: what compiling knew.
        plain: values of the plain arguments, in order.

    Raises:
        ValueError: when the values make a circuit that the plan does not hold, or leave fewer bits than were
            asked for.
    """
    graph = graph_with_plain(source, plain)
    params, top = plan.params, plan.top_level
    for limits, factors in _ways_to_round(plan, source, graph):
        lowered = lower(graph, limits, plan.settings, dropped_primes(params, top), factors)
        if lowered.drops <= top and lowered.base_bits <= source.lowered.base_bits + 0.5:
            _check_precision(plan, source, graph, lowered)
            steps, registers = placed(graph, lowered, top)
            leaves = encode_constants(lowered.constants, params, top)
            circuit = Circuit(steps, leaves, registers, tuple(map(reading_of, graph.outputs)))
            return SpecialisedCircuit(graph, lowered, circuit)
    raise ValueError(
        "the plain arguments of this call make values larger than the program was planned for, which "
        "could overflow: numbers beyond their range's largest, or factors so small that what is added to "
        "their products dwarfs these. Compile with a range that holds these values at their largest, or "
        "with these values closed over."
    )


_TOLERATED_BITS = 1.0  # by which another sample of weights may fall below what was planned


def _check_precision(plan: ProgramPlan, source: CompilationRecord, graph: Graph, lowered: Lowered) -> None:
    """Refuse plain arguments with which results are less precise than was asked for.

    Raises:
        ValueError: with the precision that is left.
    """
    wanted = source.precision_bits - _TOLERATED_BITS
    left = Predictor(graph, source.sample).bits(plan.settings, lowered, wanted)
    if left < wanted:
        raise ValueError(
            f"the plain arguments of this call leave {left:.1f} bits of precision, and the program was "
            f"planned for {source.precision_bits:g} with numbers as large as their ranges: results are small "
            f"beside what they are computed from. Compile with a smaller range for them, with more "
            f"precision_bits, or with these values closed over."
        )


_Way = tuple[tuple[float, ...], dict[int, tuple[float, ...]] | None]


def _ways_to_round(plan: ProgramPlan, source: CompilationRecord, graph: Graph) -> list[_Way]:
    """The largest magnitudes and factors of weights to lower with: for small weights, then as planned."""
    rigorous = bounds(graph)
    if [type(node) for node in graph.nodes] != [type(node) for node in source.graph.nodes]:
        return [(rigorous, None)]
    planned, bits = source.lowered.factors, plan.settings.weight_bits
    own = {number: graph.nodes[number].magnified(factors, bits) for number, factors in planned.items()}
    observed = source.limits or rigorous
    return [(tuple(map(min, rigorous, observed)), own), (observed, planned)]
