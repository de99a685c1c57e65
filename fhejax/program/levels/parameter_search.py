"""The search for settings, ring and primes that meet the precision at the least predicted cost."""

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np

from fhejax.ckks import Parameters
from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.ckks.parameters.level_table import SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, block_count, depth, sums_over_batch
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.ranges import bounds, observed_bounds
from fhejax.program.levels.candidates import (
    INPUT_BITS,
    Candidate,
    Candidates,
    Wish,
    bits_of_scales,
    first_precise,
    weight_bits,
)
from fhejax.program.levels.given.given_plan import plan_in
from fhejax.program.levels.plain_ranges import alike, bounds_for_all
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, TooDeepError
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.levels.predicted_keys import predicted_key_bytes
from fhejax.program.levels.predicted_time import predicted_block_seconds
from fhejax.program.packing.sample_per_slot.slots import in_slots, with_empty_slot
from fhejax.ring import Ring
from fhejax.ring.platform import Device

_LOG_DEGREES = range(12, 17)
_PRIME_BITS = (30, 28, 26, 24, 22)
_BUILDS = 3  # of parameters, each with more bits than the one before
# Relinearised values have the scale of a square, far above a key switch's noise: single primes do as digits.
# Rotations of long moduli take few digits.
_DIGIT_SIZES = (1, 2, 3, 5, 8, 11, 14)


def make_plan(
    graph: Graph,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    *,
    precision_bits: float,
    security: int,
    insecure: bool,
    log_degree: int | None,
    device: Device,
    parameters: Parameters | None = None,
) -> tuple[ProgramPlan, LoweredCircuit]:
    """Choose parameters and lower the graph for them.

    Args:
        graph: what to compute.
        limits: the largest magnitude of each node, from `value_bounds`.
        sample: typical arguments, [size, sample] each, on which precision is predicted.
        precision_bits: -log2 of the error's root mean square over that of the outputs.
        security: 128, 192 or 256.
        insecure: whether the ring may have less, as one of a given degree mostly has.
        log_degree: log2 of the ring's degree, where it is given.
        device: whose predicted time is to be least.
        parameters: to plan in and no others, if any.

    Raises:
        TooDeepError: with the depth, the limit and what would help.
    """
    wish = Wish(graph, limits, Predictor(graph, sample), precision_bits, device)
    if parameters is not None:
        return plan_in(parameters, wish)
    options = ParameterOptions(security=security, insecure=insecure)
    found = _candidates(wish, None if insecure else security, log_degree)
    best = first_precise(wish, found, lambda one: _build(wish, one, options))
    if isinstance(best, tuple):
        return best
    level = "the insecure ring of this test" if insecure else f"{security}-bit security"
    raise TooDeepError(
        f"the function multiplies encrypted values {depth(graph)} times in a row, and no ring up to degree "
        f"2**{_LOG_DEGREES[-1]} keeps {precision_bits:g} bits at {level} "
        f"({best.reason or 'none fits in a modulus that is secure'}; weights have at most "
        f"{weight_bits(graph)[-1]} bits and inputs a scale of at most 2**{INPUT_BITS[-1]}). Use fewer "
        f"or lower-degree activations, lower precision_bits, narrow the range of the arguments, or split "
        f"the function in two programs. Interval arithmetic says that values reach {max(limits):.3g}; where "
        f"they do not, compile with a typical sample= and a margin=."
    )


def value_bounds(
    graph: Graph, sample: Sequence[np.ndarray], margin: float | None, others: Sequence[Graph] = ()
) -> tuple[float, ...]:
    """The largest magnitude of each node: rigorous, or `margin` times that on a sample with empty slots.

    Args:
        graph: what is computed.
        sample: typical arguments, [size, sample] each.
        margin: None for interval arithmetic over the arguments' ranges.
        others: the same circuit, made for other values of its plain arguments.
    """
    graphs = alike([graph, *others])
    if margin is None:
        return bounds_for_all(graphs) if others else bounds(graph)
    if graph.least_slots:  # each column is the slots of one sample's ciphertexts
        arguments, slots = list(sample), None
    elif not sums_over_batch(graph):  # samples do not meet: one empty slot tells of all
        arguments, slots = with_empty_slot(graph, sample), None
    else:
        arguments, slots = in_slots(graph, sample, 2 ** (graph.batch - 1).bit_length())
    seen = (observed_bounds(g, evaluate_graph(g, arguments, slots=slots), margin) for g in graphs)
    return tuple(map(max, zip(*seen, strict=True)))


def _candidates(wish: Wish, security: int | None, log_degree: int | None) -> list[Candidate]:
    """The settings that fit a secure ring, with what they cost.

    Args:
        wish: what they are for.
        security: in bits, or None where any modulus will do.
        log_degree: log2 of the ring's degree, where it is given.
    """
    graph, limits, device = wish.graph, wish.limits, wish.device
    choices = np.array(list(itertools.product(*bits_of_scales(graph), _PRIME_BITS)))
    rings = [
        Ring(2**k, conjugate_invariant=True) for k in (_LOG_DEGREES if log_degree is None else [log_degree])
    ]
    # What a circuit takes of the modulus, and its steps, depend on the ring in their noise alone.
    rings = [ring for ring in rings if ring.slots >= graph.least_slots]
    if not rings:
        return []
    shape = lower(graph, limits, Settings(rings[-1], *choices.T))
    found = []
    for ring, digit_size in itertools.product(rings, _digit_sizes(shape)):
        limit = math.inf if security is None else maximum_modulus_bits(ring.degree, security)
        settings = Settings(ring, *choices.T, digit_size=digit_size)
        blocks = block_count(graph, ring.slots)
        total = _total_bits(settings, shape)
        fits = np.isfinite(total) & (total <= limit - 0.5)
        if not fits.any():
            continue
        costs = blocks * np.asarray(predicted_block_seconds(shape, settings, device))[fits]
        sizes = np.broadcast_to(predicted_key_bytes(shape, settings), total.shape)[fits]
        fitting = choices[fits]
        fitting_settings = Settings(ring, *fitting.T, digit_size=digit_size)
        among = Candidates(graph, limits, fitting_settings, blocks, wish.predictor)
        found += [
            Candidate(among, i, float(cost), float(size), -float(choice[:3].sum()))
            for i, (cost, size, choice) in enumerate(zip(costs, sizes, fitting, strict=True))
        ]
    return found


def _digit_sizes(lowered: Lowered) -> Sequence[int]:
    """The sizes of digits that may do: where there are rotations, some that have no more primes than Q."""
    if not any(step.rotates for step in lowered.steps):
        return _DIGIT_SIZES[:1]
    return [size for size in _DIGIT_SIZES if size == 1 or 2 * size <= np.max(lowered.drops)]


def _total_bits(settings: Settings, lowered: Lowered) -> np.ndarray:
    special = settings.special_bits if lowered.switches_keys else 0
    return lowered.base_bits + lowered.drops * settings.prime_bits + special


def _build(wish: Wish, candidate: Candidate, options: ParameterOptions) -> LoweredCircuit | str:
    """The graph lowered with real primes, or why those do not do.

    Real primes are larger or smaller than was thought: levels that are missing are added, and bits to the
    lowest modulus.
    """
    graph, limits = wish.graph, wish.limits
    settings, virtual = candidate.settings(), candidate.lowered()
    base_bits, levels = max(virtual.base_bits, float(SMALLEST_LEVEL_BITS)), virtual.drops
    for _ in range(_BUILDS):
        try:  # the scales of steps are their own; the primes are to be of equal size
            wished = dataclasses.replace(
                options,
                base_bits=base_bits,
                key_switching=virtual.switches_keys,
                digit_size=settings.digit_size,
            )
            params = make_parameters(settings.ring, levels, settings.prime_bits, wished)
        except ValueError as error:  # too few primes of this size, or more of them than is secure
            return f"there are no such parameters: {error}"
        lowered = lower(graph, limits, settings, Levels(params, params.depth))
        if lowered.drops > params.depth:
            levels = lowered.drops
            continue
        missing = lowered.missing_bits(limits, params, params.depth)
        if not missing:
            return LoweredCircuit(graph, limits, params, settings, lowered, candidate.blocks, params.depth)
        base_bits += missing + 0.1
    return "with the primes that there are values could overflow"
