"""The circuit of a call: the planned steps, or, where plain arguments come with the call, steps for them."""

import contextlib
import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np

from fhejax.ckks.identity import is_concrete
from fhejax.program.arguments import Plain
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.constants import encode_constants
from fhejax.program.circuit.graph import Graph, sums_over_batch
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.nodes import CarriedValues
from fhejax.program.circuit.ranges import bounds, check_finite
from fhejax.program.circuit.reading import reading_of
from fhejax.program.circuit.simplification import simplify
from fhejax.program.circuit.views import Decisions
from fhejax.program.levels.bootstrap_placement import Cut, with_bootstraps
from fhejax.program.levels.carry import with_carry
from fhejax.program.levels.plan import ProgramPlan, placed
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.levels.result_levels import cut_results
from fhejax.program.packing.packings import packed
from fhejax.program.report import ConsideredPacking
from fhejax.program.run.interface import Interface, interface_of
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
        recent: the circuit of the last call and its plain arguments, at most one, for calls with the same.
        considered: the packings that were compared.
        given_parameters: whether compile was given them.
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
    given_parameters: bool = False
    recent: list = dataclasses.field(default_factory=list, init=False, repr=False)

    @functools.cached_property
    def signature(self) -> tuple:
        """What tells programs of equal plans apart under jit: their arguments and results, not their making.

        Where plain arguments come with a call, its steps are made from the record, which then is what it is.
        """
        return self.interface, id(self) if self.interface.takes_plain else None

    @functools.cached_property
    def interface(self) -> Interface:
        """The arguments and results of the program."""
        return interface_of(self.graph)

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
    simple = _renewed(source.traced, source.packing, graph.decisions, plain)
    bootstraps = sum(len(cut.values) for cut in source.cuts)
    carried = sum(isinstance(node, CarriedValues) for node in graph.nodes)
    if source.cuts and len(simple.nodes) + bootstraps != len(graph.nodes) - carried:
        raise ValueError(
            "the plain arguments of this call make another circuit than the program was planned for, whose "
            "bootstraps are in other places; compile with values like these, closed over."
        )
    return with_carry(with_bootstraps(simple, source.cuts), graph.carry)


def graphs_of_other_values(traced: TensorGraph, packing: str, graph: Graph) -> list[Graph]:
    """The circuit for other values of the plain arguments than the planner works on, as far as there are any.

    Args:
        traced: the function.
        packing: the name of the packing.
        graph: the circuit that was made in it.
    """
    pairs = [(i, a) for i, a in enumerate(traced.arguments) if isinstance(a, Plain)]
    found = []
    for values in zip(*(a.other_placeholders(i) for i, a in pairs), strict=True):
        with contextlib.suppress(ValueError):  # values that the function is not defined for, such as zeros
            found.append(_renewed(traced, packing, graph.decisions, values))
    return found


def _renewed(traced: TensorGraph, packing: str, decisions: Decisions, plain: Sequence[np.ndarray]) -> Graph:
    """The simplified circuit for some plain arguments, with what was decided for others.

    Raises:
        ValueError: weights that are not finite.
    """
    made = packed(dataclasses.replace(traced.with_plain(plain), decisions=decisions), packing)
    check_finite(made)
    return simplify(made)


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
    """The circuit for these plain arguments, that of the call before if it had the same.

    Args:
        plan: of the program.
        source: what compiling knew.
        plain: values of the plain arguments, in order.

    Raises:
        ValueError: as `specialised_anew` says.
    """
    for known, values, circuit in source.recent:
        if known is plan and all(map(_are_equal, values, plain)):
            return circuit
    circuit = specialised_anew(plan, source, plain)
    if all(map(is_concrete, jax.tree.leaves(circuit.circuit.leaves))):  # a traced one ends with its trace
        source.recent[:] = [(plan, [np.array(values) for values in plain], circuit)]
    return circuit


def _are_equal(values: np.ndarray, other: np.ndarray) -> bool:
    return values.dtype == other.dtype and values.shape == other.shape and bool((values == other).all())


def specialised_anew(
    plan: ProgramPlan, source: CompilationRecord, plain: Sequence[np.ndarray]
) -> SpecialisedCircuit:
    """The circuit for these plain arguments, under the planned parameters.

    Weights are rounded as planned, or to as many bits of their own where they are smaller; that only if
    all still fits. Where values are larger than the planner saw, weights have fewer bits.

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
    for way in _ways_to_round(plan, source, graph):
        lowered = lower(graph, way.limits, way.settings, Levels(params, top), way.factors)
        if not lowered.missing_bits(way.limits, params, top):
            _check_precision(way.settings, source, graph, lowered)
            steps, registers = placed(graph, lowered, top)
            if source.limits is None:
                steps, registers = cut_results(graph, way.limits, params, steps, registers)
            leaves = encode_constants(lowered.constants, params, top)
            circuit = Circuit(steps, leaves, registers, tuple(map(reading_of, graph.outputs)))
            return SpecialisedCircuit(graph, lowered, circuit)
    raise ValueError(
        "the plain arguments of this call make values larger than any that the program was planned for, "
        "which could overflow: what the function computes from them is larger within their ranges than at "
        "the ends, as 1 / w is near zero, or makes another circuit. Compile with narrower ranges, with a "
        "result of that computation as the plain argument, or with these values closed over."
    )


_FEWEST_WEIGHT_BITS = 6
_SAMPLES = 16  # on which the precision of a call is predicted, where samples do not meet
_TOLERATED_BITS = 1.0  # by which another sample of weights may fall below what was planned


def _check_precision(settings: Settings, source: CompilationRecord, graph: Graph, lowered: Lowered) -> None:
    """Refuse plain arguments with which results are less precise than was asked for.

    Raises:
        ValueError: with the precision that is left.
    """
    wanted = source.precision_bits - _TOLERATED_BITS
    few = source.sample if sums_over_batch(graph) else [entries[:, :_SAMPLES] for entries in source.sample]
    left = Predictor(graph, few).bits(settings, lowered, wanted)
    if left < wanted:
        raise ValueError(
            f"the plain arguments of this call leave {left:.1f} bits of precision, and the program was "
            f"planned for {source.precision_bits:g} with numbers as large as their ranges: results are small "
            f"beside what they are computed from. Compile with a smaller range for them, with more "
            f"precision_bits, or with these values closed over."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Way:
    """The largest magnitudes, factors of weights and settings to lower a circuit with."""

    limits: tuple[float, ...]
    factors: dict[int, tuple[float, ...]] | None
    settings: Settings


def _ways_to_round(plan: ProgramPlan, source: CompilationRecord, graph: Graph) -> list[_Way]:
    """The ways to round weights: for small ones, then as planned, then to fewer and fewer bits."""
    settings = plan.settings
    rigorous = bounds(graph)
    if [type(node) for node in graph.nodes] != [type(node) for node in source.graph.nodes]:
        return [_Way(rigorous, None, s) for s in (settings, *_coarser(settings))]
    planned, bits = source.lowered.factors, plan.settings.weight_bits
    own = {number: graph.nodes[number].magnified(factors, bits) for number, factors in planned.items()}
    observed = source.limits or rigorous
    return [
        _Way(tuple(map(min, rigorous, observed)), own, settings),
        _Way(observed, planned, settings),
        *(_Way(observed, None, coarser) for coarser in _coarser(settings)),
    ]


def _coarser(settings: Settings) -> list[Settings]:
    """The settings with fewer bits for weights."""
    bits = range(settings.weight_bits - 1, _FEWEST_WEIGHT_BITS - 1, -1)
    return [dataclasses.replace(settings, weight_bits=b) for b in bits]
