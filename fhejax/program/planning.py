"""The plan of a traced function in each packing, and the choice of one."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fhejax.ckks import BootstrappingParameters
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.ranges import check_finite
from fhejax.program.circuit.simplification import simplify
from fhejax.program.circuit.views import View
from fhejax.program.files.sizes import key_bytes
from fhejax.program.levels.bootstrapped_plan import make_bootstrapped_plan
from fhejax.program.levels.carry import Carry, carried_pairs, check_carried_range
from fhejax.program.levels.parameter_search import make_plan, value_bounds
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, TooDeepError
from fhejax.program.packing.packings import ONE_SAMPLE, PLANES, packed
from fhejax.program.report import ConsideredPacking
from fhejax.program.specialisation import graphs_of_other_values
from fhejax.program.tensor.graph import TensorGraph
from fhejax.program.typical_sample import calls_of, typical_sample

_NOT_PLANNED = "not planned, since a packing that was tried first holds the function"


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """The plan of a function in one packing, its circuit, and the sample that predictions rest on."""

    packing: str
    plan: ProgramPlan
    circuit: LoweredCircuit
    typical: tuple[np.ndarray, ...]


def planned_in(
    packing: str,
    traced: TensorGraph,
    sample: Any,
    margin: float | None,
    bootstrapping: bool | BootstrappingParameters,
    carry: Any,
    request: dict[str, Any],
) -> Planned:
    """The plan of a traced function in a packing; a sample of several ciphertexts is split as the plan needs.

    Without bootstraps a ring has twice the slots that it has with them.
    """
    if packing == PLANES:
        if isinstance(bootstrapping, BootstrappingParameters):
            raise ValueError(
                "compile was given parameters of bootstraps and packing='planes', which holds no bootstrap "
                "yet; leave them out, or use packing='multiplexed'."
            )
        wide = _without_bootstraps(traced, request)
        return _planned_once(packing, wide, sample, margin, False, carry, request)
    if packing != ONE_SAMPLE:
        return _planned_once(packing, traced, sample, margin, bootstrapping, carry, request)
    if isinstance(bootstrapping, BootstrappingParameters):
        traced = dataclasses.replace(traced, slots=bootstrapping.slots)
        return _planned_once(packing, traced, sample, margin, bootstrapping, carry, request)
    wide = _without_bootstraps(traced, request)
    try:
        return _planned_once(packing, wide, sample, margin, False, carry, request)
    except TooDeepError as error:
        if not bootstrapping or _is_beyond_bootstraps(request):
            raise
        without = error
    try:
        return _planned_once(packing, traced, sample, margin, None, carry, request)
    except TooDeepError as error:
        raise TooDeepError(f"{without} And {error}") from None


def _without_bootstraps(traced: TensorGraph, request: dict[str, Any]) -> TensorGraph:
    """The traced function for the slots of a ring without bootstraps, twice as many unless it is given."""
    if request["parameters"] is not None:
        return traced
    return dataclasses.replace(traced, slots=2 * traced.slots)


def _planned_once(
    packing: str,
    traced: TensorGraph,
    sample: Any,
    margin: float | None,
    bootstrapping: bool | BootstrappingParameters | None,
    carry: Any,
    request: dict[str, Any],
) -> Planned:
    """The plan of a traced function in a packing, for ciphertexts of at least the given slots.

    Where `bootstrapping` is None, no plan without bootstraps is looked for.
    """
    graph = simplify(packed(traced, packing))
    if not any(isinstance(o.value, View) for o in graph.outputs):
        raise ValueError("no result of the function depends on an encrypted argument; nothing to do.")
    check_finite(graph)
    carried = carried_pairs(graph, carry)
    calls = [typical_sample(graph, call) for call in calls_of(sample)]
    others = graphs_of_other_values(traced, packing, graph)
    bounds = [value_bounds(graph, call, margin, others) for call in (calls[-1:] if margin is None else calls)]
    limits, typical = tuple(map(max, zip(*bounds, strict=True))), calls[-1]
    plan, found = _planned_program(graph, limits, typical, bootstrapping, carried, request)
    if carried and sample is not None:
        for call in calls:
            check_carried_range(found.graph, evaluate_graph(found.graph, call))
    return Planned(packing, plan, found, tuple(typical))


def cheapest(
    rounds: Sequence[Sequence[str]], planned: Callable[[str], Planned]
) -> tuple[Planned, tuple[ConsideredPacking, ...]]:
    """The plan of least predicted time in the first round that has one, and what was found of each packing.

    Raises:
        ValueError: that of the first packing, where no packing holds the function.
    """
    considered: list[ConsideredPacking] = []
    refused: ValueError | None = None
    for number, names in enumerate(rounds):
        found: list[Planned] = []
        for name in names:
            try:
                one = planned(name)
            except ValueError as error:
                refused = refused or error
                considered.append(ConsideredPacking(name, None, None, _first_sentence(error)))
                continue
            found.append(one)
            considered.append(ConsideredPacking(name, one.plan.predicted_seconds, _key_bytes(one.plan), ""))
        if found:
            later = [name for names in rounds[number + 1 :] for name in names]
            considered.extend(ConsideredPacking(name, None, None, _NOT_PLANNED) for name in later)
            return min(found, key=lambda one: one.plan.predicted_seconds), tuple(considered)
    assert refused is not None
    raise refused


def _key_bytes(plan: ProgramPlan) -> int:
    return key_bytes(plan.params, plan.manifest, plan.bootstrapping)


def _first_sentence(error: ValueError) -> str:
    """What an error says first, without the numbers in brackets."""
    return str(error).partition("\n")[0].partition(" (")[0].partition(". ")[0]


def _planned_program(
    graph: Graph,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    bootstrapping: bool | BootstrappingParameters | None,
    carry: Carry,
    request: dict[str, Any],
) -> tuple[ProgramPlan, LoweredCircuit]:
    """The plan without bootstraps where there is one, unless parameters of bootstraps were given."""
    given = bootstrapping if isinstance(bootstrapping, BootstrappingParameters) else None
    without = ""
    if isinstance(bootstrapping, bool) and not carry:
        try:
            return make_plan(graph, limits, sample, **request)
        except TooDeepError as error:
            if not bootstrapping or _is_beyond_bootstraps(request):
                raise
            without = f"{error} "
    known = {name: value for name, value in request.items() if name != "parameters"}
    try:
        return make_bootstrapped_plan(graph, limits, sample, given=given, carry=carry, **known)
    except TooDeepError as error:
        raise TooDeepError(f"{without}And {error}" if without else f"{error}") from None


def _is_beyond_bootstraps(request: dict[str, Any]) -> bool:
    """Whether more bits of security are asked for than bootstraps are known to have."""
    return request["security"] > 128 and not request["insecure"]
