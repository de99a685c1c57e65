"""Pass 3, second half: the settings, ring and primes that meet the precision at least predicted cost."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fhejax.ckks import Parameters, make_parameters
from fhejax.ckks.security import maximum_modulus_bits
from fhejax.program.analyse import bounds, depth
from fhejax.program.graph import Combine, Linear, Tensor
from fhejax.program.lower import Lowered, Settings, lower
from fhejax.program.oracles import evaluate, result_of, view_difference
from fhejax.program.steps import Step
from fhejax.program.trace import Graph
from fhejax.ring import Ring

_LOG_DEGREES = range(12, 17)
_INPUT_BITS = (14, 16, 18, 20, 22, 24, 26, 28)
_WEIGHT_BITS = (7, 8, 9, 10, 11, 12, 13, 14, 15)
_WORKING_BITS = (18, 20, 22, 24, 26, 28)
_PRIME_BITS = (30, 28, 26, 24, 22)
_SPECIAL_BITS = 30
_DIGIT_SIZE = 1  # relinearised values have the scale of a square, far above the key switch's noise

# Predicted nanoseconds on two CPU cores, fitted to benchmarks/kernels.py
_MULTIPLY_ADD = 0.02
_ENTRY = 3.0
_TRANSFORM = 6.0


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything static about a program, hashable.

    steps: with levels counted from the bottom. registers: the step that holds each output's node.
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

    @property
    def relinearises(self) -> bool:
        """Whether a relinearisation key is needed."""
        return any(step.operation == "relinearise" for step in self.steps)

    @property
    def relinearisation_level(self) -> int:
        """The highest level at which it is used."""
        levels = [self.steps[step.sources[0]].level for step in self.steps if step.operation == "relinearise"]
        return max(levels, default=0)


class TooDeepError(ValueError):
    """No secure parameters hold the circuit at the precision asked for."""


def make_plan(
    graph: Graph,
    sample: Sequence[np.ndarray],
    *,
    precision_bits: float,
    security: int,
    log_degree: int | None,
) -> tuple[Plan, Lowered]:
    """Choose parameters and lower the graph for them.

    Args:
        sample: typical arguments, [size, sample] each, on which precision is predicted.
        precision_bits: -log2 of the error's root mean square over that of the outputs.
        security: 128, 192, 256, or 0 for an insecure ring (which `log_degree` then names).

    Raises:
        TooDeepError: with the depth, the limit and what would help.
    """
    limits = bounds(graph)
    predictor = _Predictor(graph, sample)
    best = "none fits in a modulus that is secure"
    best_bits = -math.inf
    for cost, settings, blocks in _candidates(graph, limits, security, log_degree):
        virtual = lower(graph, limits, settings)
        bits = predictor.bits(settings, virtual)
        if bits >= precision_bits:
            return _build(graph, limits, settings, security, blocks, bits, cost)
        if bits > best_bits:
            best_bits, best = bits, f"the best secure ones leave {bits:.1f} bits"
    level = f"{security}-bit security" if security else "the insecure ring of this test"
    raise TooDeepError(
        f"the function multiplies encrypted values {depth(graph)} times in a row, and no ring up to degree "
        f"2**{_LOG_DEGREES[-1]} keeps {precision_bits:g} bits at {level} ({best}; weights have at most "
        f"{_WEIGHT_BITS[-1]} bits and inputs a scale of at most 2**{_INPUT_BITS[-1]}). Use fewer "
        f"or lower-degree activations, lower precision_bits, narrow the range of the arguments, or split "
        f"the function in two programs."
    )


def _candidates(
    graph: Graph, limits: tuple[float, ...], security: int, log_degree: int | None
) -> Iterator[tuple[float, Settings, int]]:
    """Settings that fit a secure ring, cheapest first, and more precise first among equals."""
    rings = [2**k for k in (_LOG_DEGREES if log_degree is None else [log_degree])]
    found = []
    choices = list(itertools.product(_INPUT_BITS, _WEIGHT_BITS, _WORKING_BITS, _PRIME_BITS))
    shapes: dict[tuple, Lowered] = {}
    for degree in rings:
        ring = Ring(degree, conjugate_invariant=True)
        limit = maximum_modulus_bits(degree, security) if security else math.inf
        blocks = -(-graph.batch // ring.slots)
        for choice in choices:
            if choice not in shapes:
                shapes[choice] = lower(graph, limits, Settings(ring, *choice))
            lowered = shapes[choice]
            settings = Settings(ring, *choice)
            if _total_bits(lowered, settings) > limit - 0.5:
                continue
            cost = blocks * _cost(graph, lowered, settings)
            found.append((round(cost, 4), -sum(choice[:3]), settings, blocks))
    found.sort(key=lambda item: item[:2])
    seen = set()
    for cost, _, settings, blocks in found:
        if (cost, settings) not in seen:
            seen.add((cost, settings))
            yield cost, settings, blocks


def _limbs(lowered: Lowered, settings: Settings) -> tuple[int, int]:
    """(base limbs, limbs dropped on the way)."""
    return max(1, math.ceil((lowered.base_bits - 0.02) / 30)), lowered.drops


def _total_bits(lowered: Lowered, settings: Settings) -> float:
    special = _SPECIAL_BITS if lowered.relinearises else 0
    return lowered.base_bits + lowered.drops * settings.prime_bits + special


def _cost(graph: Graph, lowered: Lowered, settings: Settings) -> float:
    """Predicted seconds of one block."""
    base, dropped = _limbs(lowered, settings)
    degree, total = settings.ring.degree, 0.0
    sizes = {i: step.size for i, step in enumerate(lowered.steps)}
    for step in lowered.steps:
        limbs = base + dropped + step.level  # levels are still minus the primes dropped
        words = limbs * degree * step.components
        total += words * _ENTRY * (step.size + sum(sizes[s] for s in step.sources))
        if step.operation == "linear":
            node = graph.nodes[step.node] if step.node >= 0 else None
            products = node.weights.size * node.entries.shape[2] if isinstance(node, Linear) else 0
            total += words * _MULTIPLY_ADD * products
        if step.operation in ("relinearise", "rescale"):
            before = base + dropped + lowered.steps[step.sources[0]].level
            transforms = before * (before + 3) if step.operation == "relinearise" else 2 * before
            total += step.size * transforms * degree * _TRANSFORM
    return total * 1e-9


class _Predictor:
    """Predicts the output's error from few evaluations.

    One for each number of weight bits, and one for each node that gains noise, whose effect on the output is
    linear while it is small.
    """

    def __init__(self, graph: Graph, sample: Sequence[np.ndarray]) -> None:
        self.graph, self.sample = graph, sample
        self.values = evaluate(graph, sample)
        self.combines = any(isinstance(node, Combine) for node in graph.nodes)
        self.rounded: dict[Any, np.ndarray] = {}
        self.gains: dict[int, np.ndarray] = {}
        self.sizes = self._outputs(self.values)

    @np.errstate(over="ignore", invalid="ignore")
    def bits(self, settings: Settings, lowered: Lowered) -> float:
        """-log2 of the error's root mean square over that of the worst output."""
        variance = self._rounding(settings.weight_bits, lowered) ** 2
        for node, deviation in lowered.noise.items():
            variance = variance + (self._gain(node) * deviation) ** 2
        relative = np.sqrt(variance) / np.where(self.sizes > 0, self.sizes, 1.0)
        return float(-np.log2(max(relative.max(initial=0.0), 2.0**-60)))

    def _outputs(self, values: list[np.ndarray]) -> np.ndarray:
        """Root mean square of each encrypted output."""
        views = [o for o in self.graph.outputs if isinstance(o.value, Tensor)]
        return np.array([np.sqrt(np.mean(result_of(o, values) ** 2)) for o in views])

    def _error(self, values: list[np.ndarray]) -> np.ndarray:
        difference = [found - clear for found, clear in zip(values, self.values, strict=True)]
        views = [o for o in self.graph.outputs if isinstance(o.value, Tensor)]
        errors = []
        for output in views:
            scaled = view_difference(output.value, difference[output.value.node])
            errors.append(np.sqrt(np.mean(scaled**2)))
        return np.array(errors)

    def _rounding(self, weight_bits: int, lowered: Lowered) -> np.ndarray:
        key = tuple(lowered.rounding.items()) if self.combines else weight_bits
        if key not in self.rounded:
            found = evaluate(self.graph, self.sample, rounding=lowered.rounding)
            self.rounded[key] = self._error(found)
        return self.rounded[key]

    def _gain(self, node: int) -> np.ndarray:
        """Output error for each unit of noise at a node."""
        if node not in self.gains:
            step = 1e-4 * (float(np.sqrt(np.mean(self.values[node] ** 2))) or 1.0)
            found = evaluate(self.graph, self.sample, noise={node: step})
            self.gains[node] = self._error(found) / step
        return self.gains[node]


def _build(
    graph: Graph,
    limits: tuple[float, ...],
    settings: Settings,
    security: int,
    blocks: int,
    bits: float,
    cost: float,
) -> tuple[Plan, Lowered]:
    virtual = lower(graph, limits, settings)
    params = make_parameters(
        settings.ring,
        [settings.prime_bits] * virtual.drops,
        settings.input_bits,
        base_bits=virtual.base_bits,
        key_switching=virtual.relinearises,
        digit_size=_DIGIT_SIZE,
        security=security,
    )
    top = params.depth
    lowered = lower(graph, limits, settings, dropped_primes(params))
    steps, registers = placed(graph, lowered, top)
    encrypted = [o.value for o in graph.outputs if isinstance(o.value, Tensor)]
    largest = max(float((limits[v.node] * abs(v.multiplier) + abs(v.offset)).max()) for v in encrypted)
    plan = Plan(params, settings, steps, registers, blocks, graph.batch, depth(graph), bits, cost, largest)
    return plan, lowered


def dropped_primes(params: Parameters) -> Callable[[int], int]:
    """The product of the primes that the d-th rescale drops."""
    top = params.depth

    def divisor(drop: int) -> int:
        above, below = params.level_moduli(top - drop), params.level_moduli(top - drop - 1)
        return math.prod(above) // math.prod(below)

    return divisor


def placed(graph: Graph, lowered: Lowered, top: int) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Steps with levels counted from the bottom, and the register of each encrypted result."""
    steps = tuple(dataclasses.replace(s, level=top + s.level) for s in lowered.steps)
    views = [o.value for o in graph.outputs if isinstance(o.value, Tensor)]
    return steps, tuple(lowered.registers[view.node].step for view in views)
