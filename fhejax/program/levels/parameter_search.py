"""The search for settings, ring and primes that meet the precision at the least predicted cost."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from fhejax.ckks.parameters import ParameterOptions, make_parameters
from fhejax.ckks.parameters.level_table import SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, block_count, depth, sums_over_batch
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.node_lowering import lower
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.ranges import bounds, observed_bounds
from fhejax.program.levels.plain_ranges import alike, bounds_for_all
from fhejax.program.levels.plan import LoweredCircuit, ProgramPlan, TooDeepError, described, dropped_primes
from fhejax.program.levels.precision_prediction import Predictor
from fhejax.program.levels.predicted_keys import predicted_key_bytes
from fhejax.program.levels.predicted_time import predicted_block_seconds
from fhejax.program.packing.sample_per_slot.slots import in_slots, with_empty_slot
from fhejax.ring import Ring
from fhejax.ring.platform import Device

_LOG_DEGREES = range(12, 17)
_INPUT_BITS = (14, 16, 18, 20, 22, 24, 26, 28, 30, 32)
_WEIGHT_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15)
_DIAGONAL_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20)  # of weights that are plaintexts
_WORKING_BITS = (18, 20, 22, 24, 26, 28)
_PRIME_BITS = (30, 28, 26, 24, 22)
_BUILDS = 3  # of parameters, each with more bits than the one before
# Relinearised values have the scale of a square, far above a key switch's noise: single primes do as digits.
# Rotations of long moduli take few digits.
_DIGIT_SIZES = (1, 2, 3, 5, 8, 11, 14)
_MOST_KEY_BYTES = 3e9  # that a client is to send, wherever time can be had for them


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

    Raises:
        TooDeepError: with the depth, the limit and what would help.
    """
    predictor = Predictor(graph, sample)
    best = "none fits in a modulus that is secure"
    best_bits = -math.inf
    wished = ParameterOptions(security=security, insecure=insecure)
    found = _candidates(graph, limits, predictor, None if insecure else security, log_degree, device)
    for candidate in sorted(found, key=lambda one: one.order(device)):
        bits = candidate.bits_of_noise
        if bits >= precision_bits:
            settings, virtual = candidate.settings(), candidate.lowered()
            bits = predictor.bits(settings, virtual, precision_bits)
            built = None
            if bits >= precision_bits:
                built = _build(graph, limits, settings, virtual, wished, candidate.blocks)
            if isinstance(built, str):
                best_bits, best = math.inf, f"some would leave {bits:.1f} bits, but {built}"
            if isinstance(built, LoweredCircuit):
                plan = described(built, predictor, candidate.cost, device)
                bits = plan.predicted_bits
                if bits >= precision_bits:
                    return plan, built
        if bits > best_bits:
            best_bits, best = bits, f"the best secure ones leave {bits:.1f} bits"
    level = "the insecure ring of this test" if insecure else f"{security}-bit security"
    raise TooDeepError(
        f"the function multiplies encrypted values {depth(graph)} times in a row, and no ring up to degree "
        f"2**{_LOG_DEGREES[-1]} keeps {precision_bits:g} bits at {level} ({best}; weights have at most "
        f"{_weight_bits(graph)[-1]} bits and inputs a scale of at most 2**{_INPUT_BITS[-1]}). Use fewer "
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Candidates:
    """All settings of one ring that fit its modulus.

    What noise they leave is worked out when the first of them is looked at, for all in one pass.

    settings: arrays, one number for each candidate.
    """

    graph: Graph
    limits: tuple[float, ...]
    settings: Settings
    blocks: int
    predictor: Predictor

    @functools.cached_property
    def lowered(self) -> Lowered:
        """The circuit lowered under all of them."""
        return lower(self.graph, self.limits, self.settings)

    @functools.cached_property
    def bits_of_noise(self) -> np.ndarray:
        """The precision that noise leaves to first order, for each candidate: no more is possible."""
        return self.predictor.bits_of_noise(self.settings, self.lowered)


@dataclasses.dataclass(frozen=True, eq=False)
class _Candidate:
    """One of the candidates: its number among them, predicted seconds, and bytes of keys.

    coarseness: minus the bits that it spends on precision, for the order among equals.
    """

    among: _Candidates
    index: int
    cost: float
    key_bytes: float
    coarseness: float

    def order(self, device: Device) -> tuple[int, int, float]:
        """The place among others: by time, but after all whose keys are of a size that can be sent.

        Where none can, those of keys of about a fourth of the size come first, whatever their time.
        """
        beyond = max(0, math.ceil(math.log(self.key_bytes / _MOST_KEY_BYTES, 4))) if self.key_bytes else 0
        return beyond, round(self.cost / device.resolution), self.coarseness

    @property
    def blocks(self) -> int:
        """The number of blocks of the batch."""
        return self.among.blocks

    def settings(self) -> Settings:
        """The settings as plain numbers."""
        return self.among.settings.at(self.index)

    def lowered(self) -> Lowered:
        """The circuit lowered under them."""
        return self.among.lowered.at(self.index)

    @property
    def bits_of_noise(self) -> float:
        """The precision that noise leaves to first order."""
        return float(self.among.bits_of_noise[self.index])


def _candidates(
    graph: Graph,
    limits: tuple[float, ...],
    predictor: Predictor,
    security: int | None,
    log_degree: int | None,
    device: Device,
) -> list[_Candidate]:
    """The settings that fit a secure ring, with what they cost.

    security: in bits, or None where any modulus will do.
    """
    bits = (_INPUT_BITS, _weight_bits(graph), _WORKING_BITS, _PRIME_BITS)
    choices = np.array(list(itertools.product(*bits)))
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
        among = _Candidates(graph, limits, fitting_settings, blocks, predictor)
        found += [
            _Candidate(among, i, float(cost), float(size), -float(choice[:3].sum()))
            for i, (cost, size, choice) in enumerate(zip(costs, sizes, fitting, strict=True))
        ]
    return found


def _weight_bits(graph: Graph) -> Sequence[int]:
    """The bits that weights may have: as integers, or as plaintexts where a ciphertext holds one sample."""
    return _DIAGONAL_BITS if graph.least_slots else _WEIGHT_BITS


def _digit_sizes(lowered: Lowered) -> Sequence[int]:
    """The sizes of digits that may do: where there are rotations, some that have no more primes than Q."""
    if not any(step.rotates for step in lowered.steps):
        return _DIGIT_SIZES[:1]
    return [size for size in _DIGIT_SIZES if size == 1 or 2 * size <= np.max(lowered.drops)]


def _total_bits(settings: Settings, lowered: Lowered) -> np.ndarray:
    special = settings.special_bits if lowered.switches_keys else 0
    return lowered.base_bits + lowered.drops * settings.prime_bits + special


def _build(
    graph: Graph,
    limits: tuple[float, ...],
    settings: Settings,
    virtual: Lowered,
    wished: ParameterOptions,
    blocks: int,
) -> LoweredCircuit | str:
    """The graph lowered with real primes, or why those do not do.

    Real primes are larger or smaller than was thought: levels that are missing are added, and bits to the
    lowest modulus.
    """
    base_bits, levels = max(virtual.base_bits, float(SMALLEST_LEVEL_BITS)), virtual.drops
    for _ in range(_BUILDS):
        try:  # the scales of steps are their own; the primes are to be of equal size
            options = dataclasses.replace(
                wished,
                base_bits=base_bits,
                key_switching=virtual.switches_keys,
                digit_size=settings.digit_size,
            )
            params = make_parameters(settings.ring, levels, settings.prime_bits, options)
        except ValueError as error:  # too few primes of this size, or more of them than is secure
            return f"there are no such parameters: {error}"
        lowered = lower(graph, limits, settings, dropped_primes(params, params.depth))
        if lowered.drops > params.depth:
            levels = lowered.drops
            continue
        missing = lowered.missing_bits(limits, params, params.depth)
        if not missing:
            return LoweredCircuit(graph, limits, params, settings, lowered, blocks)
        base_bits += missing + 0.1
    return "with the primes that there are values could overflow"
