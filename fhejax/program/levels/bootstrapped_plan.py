"""The plan where depth runs out: parameters that bootstrap, and the places where it costs least."""

import bisect
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import MOST_SHARED
from fhejax.program.circuit.graph import Graph, block_count
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.lowering.state import TooLowError
from fhejax.program.circuit.nodes import CarriedSlots, CarriedValues
from fhejax.program.circuit.slots import batch_period
from fhejax.program.levels.bootstrap_noise import bootstrap_deviation
from fhejax.program.levels.bootstrap_placement import Cut, in_order, place_bootstraps, with_bootstraps
from fhejax.program.levels.carry import Carry, with_carry
from fhejax.program.levels.given.canonical_plan import is_of_tiles
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, TooDeepError, described
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.levels.predicted_time import predicted_block_seconds
from fhejax.ring import modulus_bits
from fhejax.ring.platform import Device

_LOG_DEGREE = 16
_SCALE_BITS = (40, 45, 50)
_LEVELS = (3, 15)  # the fewest and the most
_SHARED_SLOTS = MOST_SHARED // 2  # of a bootstrap that keeps as many coefficients as numbers go in one
_INSECURE_LEVELS = (8, 8)
_WEIGHT_BITS = (10, 13, 15)
_LOST_BITS = (8, 4, 0)  # of the levels' scale, which a value may be below after a rescale
_RESERVES = (0.05, 0.25, 0.5, 1, 1.5, 2, 3)  # levels kept back where scales grow more than was expected


def make_bootstrapped_plan(
    graph: Graph,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    *,
    precision_bits: float,
    security: int,
    insecure: bool,
    log_degree: int | None,
    given: BootstrappingParameters | None,
    device: Device,
    carry: Carry = (),
) -> tuple[ProgramPlan, LoweredCircuit]:
    """Choose parameters, places of bootstraps and settings, the fewest bootstraps first.

    Args:
        graph: without bootstraps.
        limits: the largest magnitude of each node.
        sample: typical arguments, as of `make_plan`.
        precision_bits: as of `make_plan`.
        security: 128, 192 or 256, of which bootstraps are known to reach the first.
        insecure: whether the ring may have less, as one of a given degree mostly has.
        log_degree: log2 of the ring's degree, where it is given.
        given: parameters to use and no others.
        device: whose predicted time is to be least.
        carry: results that replace arguments of the next call.

    Raises:
        TooDeepError: where the error of bootstraps is too large, or one node takes too many levels.
    """
    if not carry and is_of_tiles(graph):
        raise TooDeepError(
            "packing='tiles' bootstraps nothing but what is carried yet; use a function of fewer products in "
            "a row, or another packing."
        )
    if graph.least_slots and carry:
        chosen = [[given]] if given else _parameters(graph.least_slots, log_degree, security, insecure)
        return _plan_of_one_bootstrap(graph, carry, limits, sample, precision_bits, chosen, device)
    best = None
    slots = graph.least_slots or (max(graph.batch, _SHARED_SLOTS) if carry else graph.batch)
    known = (levels[-1] for levels in _parameters(slots, log_degree, security, insecure))
    for parameters in known if given is None else [given]:
        # The error of a bootstrap takes long to predict where the ring is large: first what it is at least.
        least = 2.0 ** -parameters.reduction_precision_bits[0]
        choices = itertools.product(_LOST_BITS, _WEIGHT_BITS)
        attempts = (_attempt(graph, limits, parameters, *choice, least, carry) for choice in choices)
        found = [attempt for attempt in attempts if attempt is not None]
        for attempt in sorted(found, key=lambda attempt: _predicted_cost(attempt, device)):
            bits = _predicted_bits(attempt, sample, precision_bits)
            if bits >= precision_bits:
                attempt = _with_error(attempt)
                bits = _predicted_bits(attempt, sample, precision_bits)
            if bits >= precision_bits:
                cost = _predicted_cost(attempt, device)
                return described(attempt, Predictor(attempt.graph, sample), cost, device), attempt
            best = max(best or 0.0, bits)
    raise TooDeepError(_why_not(best, precision_bits))


def _plan_of_one_bootstrap(
    graph: Graph,
    carry: Carry,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    precision_bits: float,
    chosen: Iterable[Sequence[BootstrappingParameters]],
    device: Device,
) -> tuple[ProgramPlan, LoweredCircuit]:
    """The plan of a circuit whose one bootstrap is that of what is carried, at its end.

    Args:
        graph: without bootstraps.
        carry: the results that replace arguments.
        limits: the largest magnitude of each node before that.
        sample: typical arguments.
        precision_bits: to be left.
        chosen: parameters to be tried, in order: those of one scale after those of another, each the fewest
            levels first. A ring of as few levels as one call takes has short keys and quick bootstraps.
        device: whose time is predicted.

    Raises:
        TooDeepError: where one call takes more levels than there are, or too little precision is left.
    """
    planned, best = with_carry(graph, carry), None
    limits = limits_with(graph, limits, (), planned)
    for parameters in chosen:
        attempts = functools.lru_cache(lambda one: _attempt_in_slots(planned, limits, one))
        fewest = bisect.bisect_left(parameters, True, key=lambda one: attempts(one) is not None)
        attempt = attempts(parameters[fewest]) if fewest < len(parameters) else None
        if attempt is None:
            continue
        predictor = Predictor(planned, sample)
        bits = predictor.bits(attempt.settings, attempt.lowered, precision_bits)
        if bits >= precision_bits:  # with the least error of a bootstrap, which takes long to predict
            attempt = _with_error(attempt)
            bits = predictor.bits(attempt.settings, attempt.lowered, precision_bits)
        if bits >= precision_bits:
            cost = _predicted_cost(attempt, device)
            return described(attempt, predictor, cost, device), attempt
        best = max(best or 0.0, bits)
    raise TooDeepError(_why_not(best, precision_bits))


def _attempt_in_slots(
    graph: Graph, limits: tuple[float, ...], parameters: BootstrappingParameters
) -> LoweredCircuit | None:
    """The circuit with the least error of a bootstrap; None where it takes more levels than there are."""
    scale_bits = parameters.params.scales[parameters.output_level].bits
    error = 2.0 ** -parameters.reduction_precision_bits[0]
    bits = scale_bits, max(_WEIGHT_BITS), scale_bits, scale_bits
    settings = Settings(parameters.params.ring, *bits, parameters, error, canonical=True)
    try:
        lowered = _lowered_with_bootstraps(graph, limits, settings, parameters)
    except TooLowError:
        return None
    if lowered.base_bits > modulus_bits(parameters.params.level_moduli(0)):
        return None
    return LoweredCircuit(graph, limits, parameters.params, settings, lowered, 1, parameters.output_level)


def _why_not(best: float | None, wanted: float) -> str:
    if best is None:
        return (
            "no places for bootstraps were found: one operation takes more levels than there are between two "
            "of them, or values are too large for the modulus there. Pass parameters with more levels as "
            "bootstrapping=, or give a typical sample= and a margin= where interval arithmetic overestimates "
            "the values."
        )
    return (
        f"with bootstraps the function keeps {best:.1f} bits at best, where {wanted:g} are wanted; each adds "
        f"an error of about 2**-20 of the largest value. Narrow the range of the arguments, give a typical "
        f"sample= and a margin= where interval arithmetic overestimates the values, lower precision_bits, or "
        f"pass parameters with a larger scale as bootstrapping=."
    )


def _predicted_bits(attempt: LoweredCircuit, sample: Sequence[np.ndarray], wanted: float) -> float:
    return Predictor(attempt.graph, sample).bits(attempt.settings, attempt.lowered, wanted)


def _parameters(
    batch: int, log_degree: int | None, security: int, insecure: bool
) -> Iterator[list[BootstrappingParameters]]:
    """The secure parameters of each scale, those of the fewest levels first."""
    degree = 2 ** (_LOG_DEGREE if log_degree is None else log_degree)
    slots = batch_period(batch, degree // 2)
    fewest, most = _INSECURE_LEVELS if insecure else _LEVELS
    for bits in _SCALE_BITS:
        found: list[BootstrappingParameters] = []
        for levels in range(fewest, most + 1):
            try:
                made = BootstrappingParameters.for_levels(
                    levels, degree=degree, slots=slots, scale_bits=bits, security=security, insecure=insecure
                )
            except ValueError:
                continue  # not in a secure modulus
            found.append(made)
        if found:
            yield found


def _attempt(
    graph: Graph,
    limits: tuple[float, ...],
    parameters: BootstrappingParameters,
    lost_bits: int,
    weight_bits: int,
    error: float,
    carry: Carry,
) -> LoweredCircuit | None:
    """The fewest bootstraps with these settings, or None where a node takes more levels than there are."""
    params = parameters.params
    scale_bits = params.scales[parameters.output_level].bits
    working_bits = scale_bits - lost_bits
    settings = Settings(params.ring, scale_bits, weight_bits, working_bits, scale_bits, parameters, error)
    rough = lower(graph, limits, dataclasses.replace(settings, bootstrapping=None))
    spent = bits_spent(graph, rough, scale_bits)
    blocks = block_count(graph, params.slots)
    for reserve in _RESERVES:
        between, last = parameters.levels_left, parameters.output_level
        levels = between - reserve, (between - 1 if carry else last) - reserve
        cuts = place_bootstraps(graph, spent, *(n * scale_bits for n in levels))
        if cuts is None:
            return None
        planned = with_carry(with_bootstraps(graph, cuts), carry)
        known = limits_with(graph, limits, cuts, planned)
        try:
            lowered = _lowered_with_bootstraps(planned, known, settings, parameters)
        except TooLowError:
            continue
        fits = lowered.base_bits <= modulus_bits(params.level_moduli(0))
        if fits and lowered.drops <= parameters.output_level:
            top = parameters.output_level
            return LoweredCircuit(planned, known, params, settings, lowered, blocks, top, cuts)
    return None


def _lowered_with_bootstraps(
    graph: Graph, limits: tuple[float, ...], settings: Settings, parameters: BootstrappingParameters
) -> Lowered:
    return lower(graph, limits, settings, Levels(parameters.params, parameters.output_level))


def _with_error(attempt: LoweredCircuit) -> LoweredCircuit:
    """The same attempt with the predicted error of its bootstraps."""
    parameters = _bootstrapping_of(attempt)
    settings = dataclasses.replace(attempt.settings, bootstrap_error=bootstrap_deviation(parameters))
    lowered = _lowered_with_bootstraps(attempt.graph, attempt.limits, settings, parameters)
    return dataclasses.replace(attempt, settings=settings, lowered=lowered)


def _bootstrapping_of(attempt: LoweredCircuit) -> BootstrappingParameters:
    """The parameters of an attempt's bootstraps, which every attempt has."""
    assert attempt.settings.bootstrapping is not None
    return attempt.settings.bootstrapping


def bits_spent(graph: Graph, lowered: Lowered, scale_bits: float) -> dict[int, float]:
    """The bits of the modulus that each node takes: products the scale, weights their own bits.

    A rescale takes nothing, since the modulus and the scale fall alike. Nodes computed within another one are
    left out, and count there.

    Args:
        graph: without bootstraps.
        lowered: its steps under rough scales.
        scale_bits: log2 of the levels' scale.

    Returns:
        The number of each node that has steps of its own, with its bits.
    """

    def taken(number: int) -> float:
        if number not in lowered.registers:
            return max(map(taken, graph.nodes[number].sources), default=0.0)
        register = lowered.registers[number]
        return register.drops * scale_bits + register.scale.bits

    spent = {}
    for number, register in lowered.registers.items():
        node = graph.nodes[number]
        within = [s for s in node.sources if s not in lowered.registers]
        if node.multiplies:
            spent[number] = scale_bits
        elif within:
            spent[number] = scale_bits + lowered.steps[register.step].weight_bits
        else:
            before = max(map(taken, node.sources), default=taken(number))
            spent[number] = max(0.0, taken(number) - before)
    return spent


def limits_with(
    graph: Graph, limits: tuple[float, ...], cuts: tuple[Cut, ...], planned: Graph
) -> tuple[float, ...]:
    """The largest magnitudes of the nodes of the graph with its bootstraps.

    Args:
        graph: without bootstraps.
        limits: the largest magnitude of each of its nodes.
        cuts: the places of bootstraps.
        planned: the graph with them, and with what is carried to the next call at its end.
    """
    known = tuple(limits[number] for number, _ in in_order(graph, cuts))
    for node in planned.nodes[len(known) :]:
        if isinstance(node, CarriedValues | CarriedSlots):
            known += (float(np.maximum(-node.low, node.high).max()),)
        else:
            known += (known[node.sources[0]],)
    return known


def _predicted_cost(attempt: LoweredCircuit, device: Device) -> float:
    """The predicted seconds of a program under an attempt on a device, bootstraps included."""
    bootstraps = sum(step.bootstraps for step in attempt.lowered.steps)
    each = _bootstrapping_of(attempt).predicted_seconds(device)
    steps = predicted_block_seconds(attempt.lowered, attempt.settings, device)
    return attempt.blocks * (steps + bootstraps * each)
