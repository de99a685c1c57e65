"""The state in which one circuit becomes steps, with level, scale and noise of each value."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fhejax.ckks.parameters import Scale
from fhejax.ckks.parameters.deviations import (
    rescale_deviation,
)
from fhejax.program.arguments import Plain
from fhejax.program.circuit.constants import RawConstant, RawSlots
from fhejax.program.circuit.graph import Graph, consumers
from fhejax.program.circuit.lowering.levels import Levels
from fhejax.program.circuit.lowering.lowered import Lowered
from fhejax.program.circuit.lowering.policies import CanonicalScales, policy_of
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scales import (
    AnyScale,
    Number,
    Real,
    RoughScale,
    Whole,
    ceiling,
    choose,
    floor,
    maximum,
    raised_scale,
    scale_product,
    scale_quotient,
    value_of,
)
from fhejax.program.circuit.lowering.settings import SLACK_BITS, Settings
from fhejax.program.circuit.node import Node
from fhejax.program.circuit.steps.drop import DropStep
from fhejax.program.circuit.steps.relinearise import RelinearisationStep
from fhejax.program.circuit.steps.rescale import RescaleStep
from fhejax.program.circuit.steps.scaling import ScalingStep
from fhejax.program.circuit.steps.shift import ShiftStep
from fhejax.program.circuit.steps.slot_shift import SlotShiftStep
from fhejax.program.circuit.steps.step import Step


def _typical_prime(bits: Real, drop: Whole) -> Real:
    """A number of about the size of the d-th prime to be dropped; like primes, no two are equal."""
    return 2.0 ** (bits + 0.1 * SLACK_BITS * np.sin(drop + 1))


@dataclasses.dataclass(frozen=True)
class _Switch:
    """A number of key switches whose noise, `gain` times one's own, is added to a node at a scale."""

    node: int
    drops: Whole
    scale: AnyScale
    gain: float


class TooLowError(ValueError):
    """An error that says that a value has spent too many levels where it should be bootstrapped."""


class Lowering:
    """The state in which one circuit becomes steps; mutable only while that goes on.

    With levels scales are exact and the steps are those of a program. Without them scales are logarithms, no
    constants are made, and settings may be arrays: then all of them are looked at in one pass, and a step
    that only some settings have is marked.
    """

    def __init__(
        self,
        graph: Graph,
        bounds: tuple[float, ...],
        settings: Settings,
        levels: Levels | None,
        factors: Mapping[int, tuple[float, ...]] | None,
    ) -> None:
        self.graph, self.bounds, self.settings = graph, bounds, settings
        self.policy = policy_of(settings, levels)
        self.exact = levels is not None
        self.divisor: Callable[[Whole], Number] = (  # of the d-th rescale: a prime, or primes over others
            levels.divisor if levels else lambda drop: _typical_prime(settings.prime_bits, drop)
        )
        self.readers = consumers(graph)
        self.leads_to_product = leads_to_product(graph, self.readers)
        self.weights_may_change = any(isinstance(a, Plain) for a in graph.arguments)
        self.given = factors or {}
        self.steps: list[Step] = []
        self.active: list[Any] = []
        self.constants: list[RawConstant] = []
        self.registers: dict[int, Register] = {}
        self.noise: dict[int, Real] = {}
        self.factors: dict[int, tuple[Real, ...]] = {}
        self.rounding: dict[int, tuple[Real, ...]] = {}
        self._switches: list[_Switch] = []
        self._needs: list[tuple[Whole, Real]] = []
        self._brought: dict[tuple, Register] = {}

    def result(self) -> Lowered:
        """The lowered circuit: all that was emitted, and what it needs."""
        drops = maximum(*(r.drops for r in self.registers.values()))
        base = maximum(*(bits - self.policy.bits_above(drops, at) for at, bits in self._needs))
        for switch in self._switches:
            deviation = self.policy.switch_deviation(base, drops, switch.drops) / value_of(switch.scale)
            self.add_noise(switch.node, switch.gain * deviation)
        return Lowered(
            tuple(self.steps),
            tuple(self.active),
            tuple(self.constants),
            drops,
            base,
            self.noise,
            self.registers,
            self.factors,
            self.rounding,
        )

    def scale(self, value: Real) -> AnyScale:
        """The scale that a number is, of the kind that this lowering computes with."""
        return Scale.of(value) if self.exact else RoughScale(np.log2(value))

    def emit(self, step: Step, active: Any = True) -> Register:
        """The register of a new step, whose level is minus its drops.

        Args:
            step: to be added.
            active: whether it is there at all; an array where that depends on the settings.
        """
        self.steps.append(step)
        self.active.append(active)
        return Register(len(self.steps) - 1, -step.level, step.scale, step.components, step.size)

    def constant(self, make: Callable[[], RawConstant]) -> tuple[int, ...]:
        """The number of a new leaf of the program, which is made only once the primes are known."""
        if not self.exact:
            return ()
        self.constants.append(make())
        return (len(self.constants) - 1,)

    def encoded(self, values: Callable[[], np.ndarray], scale: AnyScale, drops: Whole) -> tuple[int, ...]:
        """The number of a new leaf of plain numbers at a scale, made only once the primes are known."""
        return () if isinstance(scale, RoughScale) else self.constant(lambda: (values(), scale, drops))

    def encoded_slots(self, values: np.ndarray, scale: AnyScale, drops: Whole) -> tuple[int, ...]:
        """The number of a new leaf of plain numbers in the slots, made only once the primes are known."""
        return () if isinstance(scale, RoughScale) else self.constant(lambda: RawSlots(values, scale, drops))

    def need(self, number: int, register: Register) -> None:
        """Remember the modulus that a value needs: its scale, its bound, a sign and a margin for noise."""
        bound = math.log2(max(self.bounds[number], 2.0**-10)) + 1
        self._needs.append((register.drops, register.scale.bits + bound + 0.25))

    def add_noise(self, number: int, deviation: Real) -> None:
        """Add noise of its own that a node gains."""
        self.noise[number] = np.hypot(self.noise.get(number, 0.0), deviation)

    def add_switch(self, number: int, register: Register, gain: float = 1.0) -> None:
        """Add the noise of a key switch of `register` to the values of a node."""
        self._switches.append(_Switch(number, register.drops, register.scale, gain))

    def shift(self, register: Register, shift: np.ndarray | None, label: str, node: int = -1) -> Register:
        """The register with plain numbers added: one for each ciphertext, or for each slot of one period.

        Args:
            register: to which they are added.
            shift: the numbers, float64 [ciphertext], or [slot] of one period for each ciphertext, or None.
            label: of the step.
            node: whose value the result is; -1 where it is only a part of one.
        """
        if shift is None:
            return register
        if len(shift) > register.size:
            rows = shift.reshape(register.size, -1)
            constants = self.encoded_slots(rows, register.scale, register.drops)
            return self.emit(SlotShiftStep(*after(register), constants=constants, node=node, label=label))
        constants = self.encoded(lambda: shift, register.scale, register.drops)
        return self.emit(ShiftStep(*after(register), constants=constants, node=node, label=label))

    def drop(self, register: Register, drops: Whole) -> Register:
        """The register with fewer primes at the same scale: exact, and free unless a rescale is rational."""
        fewer = register.drops != drops
        if not np.any(fewer):
            return register
        return self.emit(DropStep(*after(register, drops=drops)), fewer)

    def brought(self, number: int, drops: Whole, scale: AnyScale | None = None) -> Register:
        """The register of a node at a level: with fewer primes, under canonical scales at its own scale.

        Args:
            number: of the node.
            drops: primes dropped at that level.
            scale: to be reached in place of the level's own.
        """
        register = self.registers[number]
        if not isinstance(self.policy, CanonicalScales):
            return self.drop(register, drops)
        if register.drops != drops:
            self.registers[number] = register = self.reduce(number, register)
        if register.drops == drops:
            return register
        scale = scale or self.policy.own_scale(drops)
        key = register.step, drops, scale
        if key not in self._brought:
            self._brought[key] = self._rescaled_to(number, register, drops, scale)
        return self._brought[key]

    def _rescaled_to(self, number: int, register: Register, drops: Whole, scale: AnyScale) -> Register:
        """The register at a lower level and a scale, by a product with an integer and a division."""
        above = self.drop(register, drops - 1)
        pending = scale_product(scale, self.divisor(drops - 1))
        factor = scale_quotient(pending, above.scale)
        constants = self.encoded(lambda: np.ones(register.size), factor, drops - 1)
        raised = self.emit(ScalingStep(*after(above, scale=pending), constants=constants))
        self.add_noise(number, rescale_deviation(self.settings.ring) / value_of(scale))
        return self.emit(RescaleStep(*after(raised, drops, scale)))

    def raise_scale(self, register: Register, bits: Real) -> Register:
        """The register at a scale of at least 2^bits."""
        return self.multiply_scale(register, ceiling(bits - register.scale.bits))

    def multiply_scale(self, register: Register, power: Whole) -> Register:
        """The register at a larger scale, by a product with 2^power, if that is more than one: exact."""
        if not np.any(power > 0):
            return register
        power = maximum(power, 0)
        factor = self.scale(2.0**power)
        constants = self.encoded(lambda: np.ones(register.size), factor, register.drops)
        fields = after(register, scale=raised_scale(register.scale, power))
        return self.emit(ScalingStep(*fields, constants=constants), power > 0)

    def reduce(self, number: int, register: Register, floor_bits: Real | None = None) -> Register:
        """The register with two components, without the primes that its scale can spare, in one division.

        Args:
            number: the node whose value the register holds.
            register: with two or three components.
            floor_bits: least log2 scale to be left, by default the working scale.
        """
        if floor_bits is None:
            floor_bits = self.policy.least_scale_bits(self.bounds[number])
            register = self._topped_up(number, register, floor_bits)
        count = self._divisions(register, floor_bits)
        divided = count > 0
        relinearised = register.components == 3
        if not relinearised and not np.any(divided):
            return register
        scale = self._divided(register, count)
        if np.any(divided):
            rounding = rescale_deviation(self.settings.ring) / value_of(scale)
            self.add_noise(number, choose(divided, rounding, 0.0))
        if relinearised:
            self.add_switch(number, register)
        kind = RelinearisationStep if relinearised else RescaleStep
        label = self._give_up(number, register)
        fields = after(register, register.drops + count, scale, 2)
        return self.emit(kind(*fields, node=number, label=label), relinearised or divided)

    def _divided(self, register: Register, count: Whole) -> AnyScale:
        """The scale of a register after `count` divisions."""
        scale = register.scale
        for step in range(int(np.max(count))):
            divisor = self.divisor(register.drops + step)
            scale = scale_quotient(scale, choose(step < count, divisor, 1.0))
        return scale

    def _divisions(self, register: Register, floor_bits: Real) -> Whole:
        spare = register.scale.bits - floor_bits + SLACK_BITS
        return maximum(0, floor(spare / self.settings.prime_bits))

    def _topped_up(self, number: int, register: Register, floor_bits: Real) -> Register:
        """The register times the power of two that the policy wants before a division."""
        count = self._divisions(register, floor_bits)
        power = self.policy.power_before_division(register.scale.bits, floor_bits, count)
        if np.any(power > 0):
            self._give_up(number, register)
        return self.multiply_scale(register, power)

    def _give_up(self, number: int, register: Register) -> str:
        """Mark that a step no longer stands for a node, since one after it does; the step's label."""
        step = self.steps[register.step]
        if step.node == number:
            self.steps[register.step] = dataclasses.replace(step, node=-1)
        return step.label

    def check_levels(self, label: str, register: Register, lowest: int) -> None:
        """Refuse a value that has spent more levels than there are between two bootstraps.

        Raises:
            TooLowError: where it has.
        """
        if register.drops > lowest:
            raise TooLowError(f"{label} has spent {register.drops} levels of {lowest} before its bootstrap.")

    def nodes_after(self, number: int) -> list[Node]:
        """The nodes that read a node."""
        return [self.graph.nodes[r] for r in self.readers[number] if r >= 0]

    def relinearises_before_linear(self, number: int, register: Register) -> bool:
        """Whether to relinearise before a linear layer.

        That is so for three components whose layer makes more ciphertexts than it reads, with a product
        later.
        """
        if register.components == 2:
            return False
        after = self.nodes_after(number)
        grows = any(n.mixes_entries and n.size >= register.size for n in after)
        return grows and any(self.leads_to_product[r] for r in self.readers[number] if r >= 0)


def leads_to_product(graph: Graph, readers: tuple[tuple[int, ...], ...]) -> list[bool]:
    """Whether a relinearisation will be needed after each node: for a product, or a sum of slots."""
    leads = [False] * len(graph.nodes)
    for number in range(len(graph.nodes) - 1, -1, -1):
        ahead = [r for r in readers[number] if r >= 0]
        leads[number] = any(leads[r] or graph.nodes[r].multiplies or graph.nodes[r].sums_slots for r in ahead)
    return leads
