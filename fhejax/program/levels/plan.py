"""Pass 3, second half: the settings, ring and primes that meet the precision at least predicted cost."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fhejax.ckks import BootstrappingParameters, KeyManifest, Parameters, make_parameters
from fhejax.ckks.parameters.level_table import SMALLEST_LEVEL_BITS
from fhejax.ckks.parameters.security import maximum_modulus_bits
from fhejax.program.circuit.steps import Step
from fhejax.program.levels.precision_prediction import Predictor, in_slots
from fhejax.program.packing.sample_per_slot.lowering import SPECIAL_BITS, Lowered, Settings, base_limbs
from fhejax.program.packing.sample_per_slot.node_lowering import batch_period, lower
from fhejax.program.tensor.evaluation import evaluate
from fhejax.program.tensor.graph import InnerProduct, Linear, Tensor
from fhejax.program.tensor.ranges import bounds, depth, needs_whole_batch, observed_bounds
from fhejax.program.tensor.trace import Graph
from fhejax.ring import Ring

_LOG_DEGREES = range(12, 17)
_INPUT_BITS = (14, 16, 18, 20, 22, 24, 26, 28)
_WEIGHT_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15)
_WORKING_BITS = (18, 20, 22, 24, 26, 28)
_PRIME_BITS = (30, 28, 26, 24, 22)
_DIGIT_SIZE = 1  # relinearised values have the scale of a square, far above the key switch's noise

# Predicted nanoseconds on two CPU cores, fitted to benchmarks/kernels.py
_MULTIPLY_ADD = 0.02
_PRODUCT = 2.0
_ENTRY = 3.0
_TRANSFORM = 6.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything static about a program, hashable.

    steps: with levels counted from the bottom. outputs: the step that holds each encrypted result's node.
    predicted_errors: root mean square of each encrypted result's error, noise and rounded weights.
    predicted_noise: the same of noise alone, against fixed point.
    whole_batch: whether every sample must be there, for a sum over the batch to be right.
    """

    params: Parameters
    settings: Settings
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    blocks: int
    batch: int
    depth: int
    predicted_bits: float
    predicted_seconds: float
    largest_output: float
    predicted_errors: tuple[float, ...]
    predicted_noise: tuple[float, ...]
    whole_batch: bool

    @property
    def bootstrapping(self) -> BootstrappingParameters | None:
        """How values are bootstrapped, if any are."""
        return self.settings.bootstrapping

    @property
    def security(self) -> int:
        """Bits of security that are known of all secrets, a bootstrap's included: 256, 192, 128, or 0."""
        chosen = self.params if self.bootstrapping is None else self.bootstrapping
        return chosen.security

    @property
    def bootstraps(self) -> int:
        """Bootstraps of one block: each takes two ciphertexts of real numbers."""
        return sum(-(-step.size // 2) for step in self.steps if step.operation == "bootstrap")

    @property
    def top_level(self) -> int:
        """The level of fresh and of bootstrapped ciphertexts."""
        return self.params.depth if self.bootstrapping is None else self.bootstrapping.output_level

    @property
    def relinearises(self) -> bool:
        """Whether a relinearisation key is needed."""
        return any(step.operation == "relinearise" for step in self.steps)

    @property
    def relinearisation_level(self) -> int:
        """The highest level at which it is used."""
        return self._highest("relinearise")

    @property
    def rotations(self) -> tuple[int, ...]:
        """The slot distances for which a rotation key is needed."""
        count = max((step.count for step in self.steps), default=0)
        return tuple(2**i for i in range(max(0, count.bit_length() - 1)))

    @property
    def rotation_level(self) -> int:
        """The highest level at which slots are rotated."""
        return self._highest("slot_sum")

    @property
    def manifest(self) -> KeyManifest:
        """The keys of all steps but bootstraps."""
        levels: dict[int | str, int] = dict.fromkeys(self.rotations, self.rotation_level)
        return KeyManifest.of(
            levels | {"relinearise": self.relinearisation_level} if self.relinearises else levels
        )

    @property
    def period(self) -> int:
        """The slots after which the samples of a block repeat."""
        return batch_period(self.batch, self.params.slots)

    def _highest(self, operation: str) -> int:
        levels = [self.steps[step.sources[0]].level for step in self.steps if step.operation == operation]
        return max(levels, default=0)


class TooDeepError(ValueError):
    """No secure parameters hold the circuit at the precision asked for."""


def make_plan(
    graph: Graph,
    limits: tuple[float, ...],
    sample: Sequence[np.ndarray],
    *,
    precision_bits: float,
    security: int,
    insecure: bool,
    log_degree: int | None,
) -> tuple[Plan, Lowered]:
    """Choose parameters and lower the graph for them.

    Args:
        graph: what to compute.
        limits: the largest magnitude of each node, from `value_bounds`.
        sample: typical arguments, [size, sample] each, on which precision is predicted.
        precision_bits: -log2 of the error's root mean square over that of the outputs.
        security: 128, 192 or 256.
        insecure: whether the ring may have less, as one of a given degree mostly has.
        log_degree: log2 of the ring's degree, where it is given.

    Raises:
        TooDeepError: with the depth, the limit and what would help.
    """
    predictor = Predictor(graph, sample)
    best = "none fits in a modulus that is secure"
    best_bits = -math.inf
    wished = {"security": security, "insecure": insecure}
    for cost, settings, blocks in _candidates(graph, limits, None if insecure else security, log_degree):
        virtual = lower(graph, limits, settings)
        bits = predictor.bits(settings, virtual, precision_bits)
        built = _build(graph, limits, settings, wished, blocks) if bits >= precision_bits else None
        if built is not None:
            plan = described(built, graph, limits, predictor, cost)
            bits = plan.predicted_bits
            if bits >= precision_bits:
                return plan, built.lowered
        if bits > best_bits:
            best_bits, best = bits, f"the best secure ones leave {bits:.1f} bits"
    level = "the insecure ring of this test" if insecure else f"{security}-bit security"
    raise TooDeepError(
        f"the function multiplies encrypted values {depth(graph)} times in a row, and no ring up to degree "
        f"2**{_LOG_DEGREES[-1]} keeps {precision_bits:g} bits at {level} ({best}; weights have at most "
        f"{_WEIGHT_BITS[-1]} bits and inputs a scale of at most 2**{_INPUT_BITS[-1]}). Use fewer "
        f"or lower-degree activations, lower precision_bits, narrow the range of the arguments, or split "
        f"the function in two programs. Interval arithmetic says that values reach {max(limits):.3g}; where "
        f"they do not, compile with a typical sample= and a margin=."
    )


def value_bounds(graph: Graph, sample: Sequence[np.ndarray], margin: float | None) -> tuple[float, ...]:
    """The largest magnitude of each node: rigorous, or `margin` times that on a sample with empty slots."""
    if margin is None:
        return bounds(graph)
    arguments, slots = in_slots(graph, sample, 2 ** (graph.batch - 1).bit_length())
    return observed_bounds(graph, evaluate(graph, arguments, slots=slots), margin)


def _candidates(
    graph: Graph, limits: tuple[float, ...], security: int | None, log_degree: int | None
) -> Iterator[tuple[float, Settings, int]]:
    """Settings that fit a secure ring, cheapest first, and more precise first among equals.

    security: in bits, or None where any modulus will do.
    """
    rings = [2**k for k in (_LOG_DEGREES if log_degree is None else [log_degree])]
    found = []
    choices = list(itertools.product(_INPUT_BITS, _WEIGHT_BITS, _WORKING_BITS, _PRIME_BITS))
    shapes: dict[tuple, Lowered] = {}
    for degree in rings:
        ring = Ring(degree, conjugate_invariant=True)
        limit = math.inf if security is None else maximum_modulus_bits(degree, security)
        blocks = -(-graph.batch // ring.slots)
        for choice in choices:
            if choice not in shapes:
                shapes[choice] = lower(graph, limits, Settings(ring, *choice))
            lowered = shapes[choice]
            settings = Settings(ring, *choice)
            total = _total_bits(lowered, settings)
            if total > limit - 0.5 or not math.isfinite(total):
                continue
            cost = blocks * predicted_seconds(graph, lowered, settings)
            found.append((round(cost, 4), -sum(choice[:3]), settings, blocks))
    found.sort(key=lambda item: item[:2])
    seen = set()
    for cost, _, settings, blocks in found:
        if (cost, settings) not in seen:
            seen.add((cost, settings))
            yield cost, settings, blocks


def _total_bits(lowered: Lowered, settings: Settings) -> float:
    special = SPECIAL_BITS if lowered.switches_keys else 0
    return lowered.base_bits + lowered.drops * settings.prime_bits + special


def predicted_seconds(graph: Graph, lowered: Lowered, settings: Settings) -> float:
    """Predicted seconds of one block, without bootstraps."""
    primes = base_limbs(lowered.base_bits) + lowered.drops * base_limbs(settings.prime_bits)
    degree, total = settings.ring.degree, 0.0
    sizes = {i: step.size for i, step in enumerate(lowered.steps)}
    for step in lowered.steps:
        limbs = primes + step.level  # levels are still minus the primes dropped
        words = limbs * degree * step.components
        total += words * _ENTRY * (step.size + sum(sizes[s] for s in step.sources))
        total += words * _products(graph, step)
        if step.operation in ("relinearise", "rescale", "slot_sum"):
            before = primes + lowered.steps[step.sources[0]].level
            transforms = 2 * before if step.operation == "rescale" else before * (before + 3)
            repeats = max(1, step.count.bit_length() - 1)
            total += step.size * transforms * degree * _TRANSFORM * repeats
    return total * 1e-9


def _products(graph: Graph, step: Step) -> float:
    """Nanoseconds for each word of a step's result that its products take."""
    node = graph.nodes[step.node] if step.node >= 0 else None
    if step.operation == "linear" and isinstance(node, Linear):
        return _MULTIPLY_ADD * node.weights.size * node.entries.shape[2]
    if step.operation == "inner_product" and isinstance(node, InnerProduct):
        return _PRODUCT * node.entries[0].size
    return 0.0


@dataclasses.dataclass(frozen=True)
class Built:
    """Parameters with real primes, and the graph lowered for them."""

    params: Parameters
    settings: Settings
    lowered: Lowered
    blocks: int


def _build(
    graph: Graph, limits: tuple[float, ...], settings: Settings, wished: dict[str, Any], blocks: int
) -> Built | None:
    """The same settings with real primes, or None where those need more than was thought."""
    virtual = lower(graph, limits, settings)
    try:
        params = make_parameters(
            settings.ring,
            [settings.prime_bits] * virtual.drops,
            settings.prime_bits,  # the scales of steps are their own; the primes are to be of equal size
            base_bits=max(virtual.base_bits, float(SMALLEST_LEVEL_BITS)),
            key_switching=virtual.switches_keys,
            digit_size=_DIGIT_SIZE,
            **wished,
        )
    except ValueError:  # too few primes of this size, or more of them than is secure
        return None
    lowered = lower(graph, limits, settings, dropped_primes(params, params.depth))
    if lowered.drops > params.depth or lowered.base_bits > virtual.base_bits + 0.5:
        return None
    return Built(params, settings, lowered, blocks)


def described(
    built: Built, graph: Graph, limits: tuple[float, ...], predictor: Predictor, cost: float
) -> Plan:
    """The plan, with what is predicted of it."""
    settings, lowered = built.settings, built.lowered
    bootstrapping = settings.bootstrapping
    top = built.params.depth if bootstrapping is None else bootstrapping.output_level
    steps, registers = placed(graph, lowered, top)
    encrypted = [o.value for o in graph.outputs if isinstance(o.value, Tensor)]
    largest = max(float((limits[v.node] * abs(v.multiplier) + abs(v.offset)).max()) for v in encrypted)
    return Plan(
        params=built.params,
        settings=settings,
        steps=steps,
        outputs=registers,
        blocks=built.blocks,
        batch=graph.batch,
        depth=depth(graph),
        predicted_bits=predictor.bits(settings, lowered, -math.inf),
        predicted_seconds=cost,
        largest_output=largest,
        predicted_errors=tuple(map(float, predictor.errors(settings, lowered))),
        predicted_noise=tuple(map(float, predictor.noise(settings, lowered))),
        whole_batch=needs_whole_batch(graph),
    )


def dropped_primes(params: Parameters, top: int) -> Callable[[int], int | Fraction]:
    """What the d-th rescale from level `top` on divides by; a circuit that drops more is found too deep."""

    def divisor(drop: int) -> int | Fraction:
        return params.moduli[-1] if drop >= top else params.rescale_factor(top - drop, top - drop - 1)

    return divisor


def placed(graph: Graph, lowered: Lowered, top: int) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Steps with levels counted from the bottom, and the register of each encrypted result."""
    steps = tuple(dataclasses.replace(s, level=top + s.level) for s in lowered.steps)
    views = [o.value for o in graph.outputs if isinstance(o.value, Tensor)]
    return steps, tuple(lowered.registers[view.node].step for view in views)
