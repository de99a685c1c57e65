"""What lowering works with: registers, steps, and the state in which one graph becomes steps."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fhejax.ckks import BootstrappingParameters, Parameters
from fhejax.ckks.keys.generation import digit_ranges
from fhejax.ckks.parameters import Scale
from fhejax.ckks.parameters.deviations import (
    division_variance,
    key_switch_variance,
    rescale_deviation,
    slot_deviation,
)
from fhejax.program.arguments import Plain
from fhejax.program.circuit.constants import RawConstant
from fhejax.program.circuit.graph import Graph, consumers
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Number,
    RoughScale,
    scale_product,
    scale_quotient,
)
from fhejax.program.circuit.nodes import GraphNode
from fhejax.program.circuit.steps import Step
from fhejax.ring import Ring, modulus_bits

SPECIAL_BITS = 30  # of the one special prime; digits are single primes
Divisor = Callable[[int], Number]  # the d-th prime to be dropped, or what a rational rescale divides by
_SLACK_BITS = 0.05  # primes differ from their nominal size by less


@dataclasses.dataclass(frozen=True)
class Settings:
    """The choices of the planner under which a graph is lowered.

    input_bits: log2 of the scale of fresh ciphertexts. weight_bits: bits of the largest weight of a layer.
    working_bits: least log2 scale after a rescale. prime_bits: log2 of what a rescale divides by.
    bootstrapping: the parameters, where there are bootstraps. bootstrap_error: root mean square of what each
    adds to numbers in (-1, 1).
    """

    ring: Ring
    input_bits: float
    weight_bits: int
    working_bits: float
    prime_bits: float
    bootstrapping: BootstrappingParameters | None = None
    bootstrap_error: float = 0.0


@dataclasses.dataclass(frozen=True)
class Register:
    """A value while lowering: how many primes were dropped, its scale, components and ciphertexts."""

    step: int
    drops: int
    scale: AnyScale
    components: int
    size: int


@dataclasses.dataclass(frozen=True)
class Lowered:
    """The lowered graph: steps (levels still counted as primes dropped, negated), constants, needs.

    drops: primes dropped on the longest path. base_bits: log2 of the modulus that must remain. noise: per
    node, the deviation of what encryption adds to its values. registers: node -> register. rounding: per
    node (and term), the integers that stand for weights w are the nearest to w times this.
    """

    steps: tuple[Step, ...]
    constants: tuple[RawConstant, ...]
    drops: int
    base_bits: float
    noise: dict[int, float]
    registers: dict[int, Register]
    factors: dict[int, tuple[float, ...]]
    rounding: dict[int, tuple[float, ...]]

    @property
    def switches_keys(self) -> bool:
        """Whether any evaluation key is needed."""
        return any(step.operation in ("relinearise", "slot_sum") for step in self.steps)


def base_limbs(base_bits: float) -> int:
    """The number of primes of the modulus that is never dropped."""
    return max(1, math.ceil((base_bits - 0.02) / 30))


def _typical_prime(bits: float, drop: int) -> float:
    """A number of about the size of the d-th prime to be dropped; like primes, no two are equal."""
    return 2.0 ** (bits + 0.1 * _SLACK_BITS * math.sin(drop + 1))


def switch_deviation(params: Parameters, level: int) -> float:
    """The deviation that a key switch adds at a level of these parameters, in a slot times the scale."""
    moduli = params.level_moduli(level)
    digits = [math.prod(moduli[start:stop]) for start, stop in digit_ranges(params, level)]
    variance = key_switch_variance(params.ring, digits, math.prod(params.special))
    return slot_deviation(params.ring, variance + division_variance(params.ring))


@dataclasses.dataclass(frozen=True)
class _Switch:
    """Key switches whose noise, `gain` times one's own, is added to a node at a scale."""

    node: int
    drops: int
    scale: AnyScale
    gain: float


class TooLowError(ValueError):
    """An error that says that a value has spent too many levels where it should be bootstrapped."""


class Lowering:
    """The state in which one graph becomes steps; mutable only while that goes on."""

    def __init__(
        self,
        graph: Graph,
        bounds: tuple[float, ...],
        settings: Settings,
        divisor: Divisor | None,
        factors: Mapping[int, tuple[float, ...]] | None,
    ) -> None:
        self.graph, self.bounds, self.settings = graph, bounds, settings
        self.exact = divisor is not None
        self.divisor: Divisor = divisor or (lambda drop: _typical_prime(settings.prime_bits, drop))
        self.readers = consumers(graph)
        self.weights_may_change = any(isinstance(a, Plain) for a in graph.arguments)
        self.given = factors or {}
        self.steps: list[Step] = []
        self.constants: list[RawConstant] = []
        self.registers: dict[int, Register] = {}
        self.noise: dict[int, float] = {}
        self.factors: dict[int, tuple[float, ...]] = {}
        self.rounding: dict[int, tuple[float, ...]] = {}
        self._switches: list[_Switch] = []
        self._needs: list[tuple[int, float]] = []

    def result(self) -> Lowered:
        """The lowered graph: all that was emitted, and what it needs."""
        drops = max(r.drops for r in self.registers.values())
        base = max(bits - self._bits_above(drops, at) for at, bits in self._needs)
        for switch in self._switches:
            deviation = self._switch_deviation(base, drops, switch.drops) / float(switch.scale)
            self.add_noise(switch.node, switch.gain * deviation)
        return Lowered(
            tuple(self.steps),
            tuple(self.constants),
            drops,
            base,
            self.noise,
            self.registers,
            self.factors,
            self.rounding,
        )

    def _bits_above(self, drops: int, at: int) -> float:
        """The log2 of what is divided by between a value and the lowest level."""
        if self.settings.bootstrapping is None:
            return self.settings.prime_bits * (drops - at)
        parameters = self.settings.bootstrapping
        params, level = parameters.params, parameters.output_level - at
        if level < 0:
            return -math.inf
        return modulus_bits(params.level_moduli(level)) - modulus_bits(params.level_moduli(0))

    def _switch_deviation(self, base_bits: float, total: int, drops: int) -> float:
        """The deviation of a key switch after `drops` of `total` divisions, in a slot times the scale."""
        if self.settings.bootstrapping is not None:
            parameters = self.settings.bootstrapping
            return switch_deviation(parameters.params, max(0, parameters.output_level - drops))
        if not math.isfinite(base_bits):
            return math.inf
        limbs = base_limbs(base_bits)
        sizes = [base_bits / limbs] * limbs + [self.settings.prime_bits] * (total - drops)
        ratios = [2.0 ** (bits - SPECIAL_BITS) for bits in sizes]
        ring = self.settings.ring
        return slot_deviation(ring, key_switch_variance(ring, ratios, 1) + division_variance(ring))

    def scale(self, value: float) -> AnyScale:
        """The scale that a number is, of the kind that this lowering computes with."""
        return Scale.of(value) if self.exact else RoughScale(math.log2(value))

    def emit(self, operation: str, register_fields: tuple, **fields: Any) -> Register:
        """The register of a new step whose result has these (drops, scale, components, size)."""
        drops, scale, components, size = register_fields
        sources = fields.pop("sources", ())
        self.steps.append(Step(operation, sources, size, components, -drops, scale, **fields))
        return Register(len(self.steps) - 1, drops, scale, components, size)

    def constant(self, make: Callable[[], RawConstant]) -> tuple[int, ...]:
        """The number of a new leaf of the program, which is made only once the primes are known."""
        if not self.exact:
            return ()
        self.constants.append(make())
        return (len(self.constants) - 1,)

    def encoded(self, values: Callable[[], np.ndarray], scale: AnyScale, drops: int) -> tuple[int, ...]:
        """The number of a new leaf of plain numbers at a scale, made only once the primes are known."""
        return () if isinstance(scale, RoughScale) else self.constant(lambda: (values(), scale, drops))

    def need(self, number: int, register: Register) -> None:
        """Remember the modulus that a value needs: its scale, its bound, a sign and a margin for noise."""
        bound = math.log2(max(self.bounds[number], 2.0**-10)) + 1
        self._needs.append((register.drops, register.scale.bits + bound + 0.25))

    def add_noise(self, number: int, deviation: float) -> None:
        """Add noise of its own that a node gains."""
        self.noise[number] = math.hypot(self.noise.get(number, 0.0), deviation)

    def add_switch(self, number: int, register: Register, gain: float = 1.0) -> None:
        """Add the noise of a key switch of `register` to the values of a node."""
        self._switches.append(_Switch(number, register.drops, register.scale, gain))

    def shift(self, register: Register, shift: np.ndarray | None, label: str) -> Register:
        """The register with plain numbers added."""
        if shift is None:
            return register
        constants = self.encoded(lambda: shift, register.scale, register.drops)
        fields = (register.drops, register.scale, register.components, register.size)
        return self.emit("shift", fields, sources=(register.step,), constants=constants, label=label)

    def drop(self, register: Register, drops: int) -> Register:
        """The register with fewer primes at the same scale: exact, and free unless a rescale is rational."""
        if register.drops == drops:
            return register
        fields = (drops, register.scale, register.components, register.size)
        return self.emit("drop", fields, sources=(register.step,))

    def raise_scale(self, register: Register, bits: float) -> Register:
        """The register at a scale of at least 2^bits."""
        return self.multiply_scale(register, math.ceil(bits - register.scale.bits))

    def multiply_scale(self, register: Register, power: int) -> Register:
        """The register at a larger scale, by a product with 2^power, if that is more than one: exact."""
        if power <= 0:
            return register
        factor = self.scale(2.0**power)
        constants = self.encoded(lambda: np.ones(register.size), factor, register.drops)
        scale = scale_product(register.scale, factor)
        fields = (register.drops, scale, register.components, register.size)
        return self.emit(
            "combine", fields, sources=(register.step,), constants=constants, weight_scales=(factor,)
        )

    def reduce(self, number: int, register: Register, floor: float | None = None) -> Register:
        """The register with two components, without the primes that its scale can spare, in one division.

        Args:
            number: the node whose value the register holds.
            register: with two or three components.
            floor: least log2 scale to be left, by default the working scale.
        """
        if floor is None:
            floor = self._floor(number)
            register = self._topped_up(number, register, floor)
        count = self._divisions(register, floor)
        if count == 0 and register.components == 2:
            return register
        scale = register.scale
        for drop in range(register.drops, register.drops + count):
            scale = scale_quotient(scale, self.divisor(drop))
        if count:
            self.add_noise(number, rescale_deviation(self.settings.ring) / float(scale))
        operation = "relinearise" if register.components == 3 else "rescale"
        if operation == "relinearise":
            self.add_switch(number, register)
        label = self._give_up(number, register)
        fields = (register.drops + count, scale, 2, register.size)
        return self.emit(operation, fields, sources=(register.step,), node=number, label=label)

    def _floor(self, number: int) -> float:
        """The least log2 scale to be left; with bootstraps less where values are larger than 1."""
        if self.settings.bootstrapping is None:
            return self.settings.working_bits
        return self.settings.working_bits - math.log2(max(self.bounds[number], 1.0))

    def _divisions(self, register: Register, floor: float) -> int:
        spare = register.scale.bits - floor + _SLACK_BITS
        return max(0, math.floor(spare / self.settings.prime_bits))

    def _topped_up(self, number: int, register: Register, floor: float) -> Register:
        """The register times a power of two such that a division leaves nearly the levels' own scale.

        What is missing is squared with every product.
        """
        count = self._divisions(register, floor)
        if self.settings.bootstrapping is None or count == 0:
            return register
        lost = self.settings.prime_bits - self.settings.working_bits
        own = floor + lost + count * self.settings.prime_bits
        power = math.floor(own - register.scale.bits)
        if power > 0:
            self._give_up(number, register)
        return self.multiply_scale(register, power)

    def _give_up(self, number: int, register: Register) -> str:
        """Mark that a step no longer stands for a node, since one after it does; the step's label."""
        step = self.steps[register.step]
        if step.node == number:
            self.steps[register.step] = dataclasses.replace(step, node=-1)
        return step.label

    def nodes_after(self, number: int) -> list[GraphNode]:
        """The nodes that read a node."""
        return [self.graph.nodes[r] for r in self.readers[number] if r >= 0]
