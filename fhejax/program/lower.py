"""Pass 3, first half: a graph and a few settings to steps, with level, scale and noise of each value.

Rescales wait until a value is about to be multiplied and its scale is worth a prime; three components are
relinearised on the side of a linear layer that has fewer ciphertexts, and never at the output.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fhejax.ckks import Scale
from fhejax.ckks.noise import (
    fresh_deviation,
    key_switch_deviation,
    rescale_deviation,
)
from fhejax.program.analyse import consumers, live_nodes
from fhejax.program.graph import (
    Combine,
    Concatenate,
    Gather,
    Input,
    Linear,
    Multiply,
    Node,
    Square,
)
from fhejax.program.oracles import weight_factor
from fhejax.program.steps import Step
from fhejax.program.trace import Graph
from fhejax.ring import Ring

_SLACK_BITS = 0.05  # primes differ from their nominal size by less


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the planner chooses.

    input_bits: log2 of the scale of fresh ciphertexts. weight_bits: bits of the largest weight of a layer.
    working_bits: least log2 scale after a rescale. prime_bits: log2 of each prime that a rescale drops.
    """

    ring: Ring
    input_bits: int
    weight_bits: int
    working_bits: int
    prime_bits: int


@dataclasses.dataclass(frozen=True)
class Register:
    """A value while lowering: how many primes were dropped, its scale, components and ciphertexts."""

    step: int
    drops: int
    scale: Scale
    components: int
    size: int


@dataclasses.dataclass(frozen=True)
class Lowered:
    """Steps (levels still counted as primes dropped, negated), constants and what they need.

    drops: primes dropped on the longest path. base_bits: log2 of the modulus that must remain. noise: per
    node, the deviation of what encryption adds to its values. registers: node -> register. rounding: per
    node (and term), the integers that stand for weights w are the nearest to w times this.
    """

    steps: tuple[Step, ...]
    constants: tuple[np.ndarray | tuple[np.ndarray, Scale], ...]
    drops: int
    base_bits: float
    noise: dict[int, float]
    registers: dict[int, Register]
    factors: dict[int, tuple[float, ...]]
    rounding: dict[int, tuple[float, ...]]
    relinearisations: int

    @property
    def relinearises(self) -> bool:
        """Whether a relinearisation key is needed."""
        return self.relinearisations > 0


def lower(
    graph: Graph,
    bounds: tuple[float, ...],
    settings: Settings,
    divisor: Callable[[int], int | float] | None = None,
    factors: Mapping[int, tuple[float, ...]] | None = None,
) -> Lowered:
    """Lower a graph.

    Args:
        bounds: largest magnitude of each node.
        divisor: the d-th prime to be dropped; by default a number of the nominal size, which is all that
            the search for settings needs (constants are then not made).
        factors: what each node's weights are multiplied by before rounding; by default what makes the
            largest weight fill `weight_bits`.
    """
    lowering = _Lowering(graph, bounds, settings, divisor, factors)
    for number in sorted(live_nodes(graph)):
        lowering.node(number, graph.nodes[number])
    return lowering.result()


class _Lowering:
    """Mutable only while one graph is lowered."""

    def __init__(
        self,
        graph: Graph,
        bounds: tuple[float, ...],
        settings: Settings,
        divisor: Callable | None,
        factors: Mapping[int, tuple[float, ...]] | None,
    ) -> None:
        self.graph, self.bounds, self.settings = graph, bounds, settings
        self.exact = divisor is not None
        self.divisor = divisor or (lambda drop: 2.0**settings.prime_bits)
        self.readers = consumers(graph)
        self.multiplied = _leads_to_product(graph, self.readers)
        self.steps: list[Step] = []
        self.constants: list = []
        self.registers: dict[int, Register] = {}
        self.noise: dict[int, float] = {}
        self.needs: list[tuple[int, float]] = []
        self.relinearisations = 0
        self.given = factors or {}
        self.factors: dict[int, tuple[float, ...]] = {}
        self.rounding: dict[int, tuple[float, ...]] = {}

    def result(self) -> Lowered:
        drops = max(r.drops for r in self.registers.values())
        prime = self.settings.prime_bits
        base = max(bits - prime * (drops - at) for at, bits in self.needs)
        return Lowered(
            tuple(self.steps),
            tuple(self.constants),
            drops,
            base,
            self.noise,
            self.registers,
            self.factors,
            self.rounding,
            self.relinearisations,
        )

    def node(self, number: int, node: Node) -> None:
        """Emit the steps of one node and remember its register."""
        if isinstance(node, Square) and self._fuses(number, node):
            return
        register = self._emit_node(number, node)
        if self._is_multiplied_next(number) or self._relinearises_before_linear(number, register):
            register = self._reduce(number, register)
        self.registers[number] = register
        self._need(number, register)

    def _need(self, number: int, register: Register) -> None:
        """The modulus that a value needs: its scale, its bound, a sign and a margin for noise."""
        bound = math.log2(max(self.bounds[number], 2.0**-10)) + 1
        self.needs.append((register.drops, register.scale.bits + bound + 0.25))

    def _emit(self, operation: str, register_fields: tuple, **fields: Any) -> Register:
        drops, scale, components, size = register_fields
        step = Step(
            operation,
            fields.pop("sources", ()),
            size,
            components,
            -drops,
            scale,
            **fields,
        )
        self.steps.append(step)
        return Register(len(self.steps) - 1, drops, scale, components, size)

    def _constant(self, make: Callable[[], object]) -> tuple[int, ...]:
        if not self.exact:
            return ()
        self.constants.append(make())
        return (len(self.constants) - 1,)

    def _emit_node(self, number: int, node: Node) -> Register:
        emit = {
            Input: self._input,
            Linear: self._linear,
            Square: self._square,
            Multiply: self._multiply,
            Combine: self._combine,
            Concatenate: self._concatenate,
            Gather: self._gather,
        }[type(node)]
        return emit(number, node)

    def _input(self, number: int, node: Input) -> Register:
        scale = Scale.of(2.0**self.settings.input_bits)
        self.noise[number] = fresh_deviation(self.settings.ring) / float(scale)
        fields = {"node": number, "label": node.label, "argument": node.argument}
        return self._emit("input", (0, scale, 2, node.size), **fields)

    def _linear(self, number: int, node: Linear) -> Register:
        before = self.graph.nodes[node.source]
        squared = isinstance(before, Square) and node.source not in self.registers
        source = self.registers[before.source if squared else node.source]
        factor = self._linear_factor(number, node)
        weight_scale = Scale.of(factor)
        scale = source.scale * source.scale if squared else source.scale
        scale = scale * weight_scale
        components = 3 if squared else source.components
        self._need(number, Register(0, source.drops, scale, components, node.size))
        constants = self._constant(lambda: np.rint(node.weights * factor).astype(np.int32))
        gathered = not _reads_in_order(node, source.size)
        if gathered:
            constants += self._constant(lambda: node.entries)
        if node.bias is not None:
            constants += self._constant(lambda: (node.bias, scale, source.drops))
        return self._emit(
            "linear",
            (source.drops, scale, components, node.size),
            sources=(source.step,),
            constants=constants,
            bound=self._weight_bound(node, factor),
            weight_scales=(weight_scale,),
            squared=squared,
            gathered=gathered,
            node=number,
            label=node.label,
        )

    def _linear_factor(self, number: int, node: Linear) -> float:
        if node.exact:
            return 1.0
        factor = weight_factor(node.weights, self.settings.weight_bits)
        (factor,) = self.factors[number] = self.given.get(number, (factor,))
        self.rounding[number] = (factor,)
        return factor

    def _weight_bound(self, node: Linear, factor: float) -> int:
        """A bound of the integers, 2**b - 1: what was planned, or more where plain arguments make it so."""
        planned = 1 if node.exact else 2**self.settings.weight_bits - 1
        if not self.given:
            return planned
        largest = round(float(np.abs(node.weights).max(initial=0.0)) * factor)
        return max(planned, 2 ** largest.bit_length() - 1)

    def _shift(self, register: Register, shift: np.ndarray | None, label: str) -> Register:
        if shift is None:
            return register
        constants = self._constant(lambda: (shift, register.scale, register.drops))
        fields = (register.drops, register.scale, register.components, register.size)
        return self._emit("shift", fields, sources=(register.step,), constants=constants, label=label)

    def _square(self, number: int, node: Square) -> Register:
        source = self._shift(self.registers[node.source], node.shift, node.label)
        fields = (source.drops, source.scale * source.scale, 3, node.size)
        return self._emit("square", fields, sources=(source.step,), node=number, label=node.label)

    def _multiply(self, number: int, node: Multiply) -> Register:
        pairs = zip(node.sources, node.shifts, strict=True)
        first, second = (self._shift(self.registers[s], shift, node.label) for s, shift in pairs)
        drops = max(first.drops, second.drops)
        first, second = self._drop(first, drops), self._drop(second, drops)
        fields = (drops, first.scale * second.scale, 3, node.size)
        sources_ = (first.step, second.step)
        return self._emit("multiply", fields, sources=sources_, node=number, label=node.label)

    def _drop(self, register: Register, drops: int) -> Register:
        """Fewer primes, the same scale: exact and free."""
        if register.drops == drops:
            return register
        fields = (drops, register.scale, register.components, register.size)
        return self._emit("drop", fields, sources=(register.step,))

    def _aligned(self, registers: list[Register], weighted: list[bool]) -> tuple[Scale, list[Scale]]:
        """A common scale, and the factor (as a scale) by which each term reaches it."""
        bits = self.settings.weight_bits
        largest = max(
            (r.scale * 2.0**bits if w else r.scale for r, w in zip(registers, weighted, strict=True)),
            key=lambda s: s.bits,
        )
        inexact = [
            r
            for r, w in zip(registers, weighted, strict=True)
            if not w and r.scale != largest and (largest / r.scale).bits < bits
        ]
        if inexact:
            largest = max((r.scale for r in registers), key=lambda s: s.bits) * 2.0**bits
        return largest, [largest / r.scale for r in registers]

    def _combine(self, number: int, node: Combine) -> Register:
        norms = self.given.get(
            number,
            tuple(1.0 if w is None else float(np.abs(w).max()) or 1.0 for w in node.weights),
        )
        self.factors[number] = norms
        weights = [None if w is None else w / n for w, n in zip(node.weights, norms, strict=True)]
        registers = [self.registers[s] for s in node.sources]
        drops = max(r.drops for r in registers)
        registers = [self._drop(r, drops) for r in registers]
        virtual = [dataclasses.replace(r, scale=r.scale / n) for r, n in zip(registers, norms, strict=True)]
        scale, factors = self._aligned(virtual, [w is not None for w in weights])
        self.rounding[number] = tuple(float(f) / n for f, n in zip(factors, norms, strict=True))
        constants: tuple[int, ...] = ()
        for weight, factor, size in zip(weights, factors, [r.size for r in registers], strict=True):
            values = np.ones(size) if weight is None else weight
            constants += self._constant(lambda v=values, f=factor: (v, f, drops))
        components = max(r.components for r in registers)
        return self._emit(
            "combine",
            (drops, scale, components, node.size),
            sources=tuple(r.step for r in registers),
            constants=constants,
            weight_scales=tuple(factors),
            node=number,
            label=node.label,
        )

    def _concatenate(self, number: int, node: Concatenate) -> Register:
        registers = [self.registers[s] for s in node.sources]
        drops = max(r.drops for r in registers)
        registers = [self._drop(r, drops) for r in registers]
        scale, factors = self._aligned(registers, [False] * len(registers))
        constants: tuple[int, ...] = ()
        for register, factor in zip(registers, factors, strict=True):
            constants += self._constant(lambda size=register.size, f=factor: (np.ones(size), f, drops))
        components = max(r.components for r in registers)
        return self._emit(
            "concatenate",
            (drops, scale, components, node.size),
            sources=tuple(r.step for r in registers),
            constants=constants,
            weight_scales=tuple(factors),
            node=number,
            label=node.label,
        )

    def _gather(self, number: int, node: Gather) -> Register:
        source = self.registers[node.source]
        fields = (source.drops, source.scale, source.components, node.size)
        constants = self._constant(lambda: node.entries)
        return self._emit(
            "gather",
            fields,
            sources=(source.step,),
            constants=constants,
            node=number,
            label=node.label,
        )

    def _fuses(self, number: int, node: Square) -> bool:
        """A square read by one linear node only is computed tile by tile inside it."""
        readers = self.readers[number]
        if len(readers) != 1 or readers[0] < 0 or node.shift is not None:
            return False
        reader = self.graph.nodes[readers[0]]
        register = Register(0, 0, Scale.of(1), 3, node.size)
        return isinstance(reader, Linear) and not self._relinearises_before_linear(number, register)

    def _is_multiplied_next(self, number: int) -> bool:
        nodes = (self.graph.nodes[r] for r in self.readers[number] if r >= 0)
        return any(isinstance(n, (Square, Multiply)) for n in nodes)

    def _relinearises_before_linear(self, number: int, register: Register) -> bool:
        """Three components, whose linear layer makes more ciphertexts than it reads, and a product later."""
        if register.components == 2:
            return False
        ahead = [self.graph.nodes[r] for r in self.readers[number] if r >= 0]
        grows = any(isinstance(n, Linear) and n.size >= register.size for n in ahead)
        return grows and any(self.multiplied[r] for r in self.readers[number] if r >= 0)

    def _reduce(self, number: int, register: Register) -> Register:
        """Relinearise, and drop every prime that the scale can spare, in one division."""
        settings = self.settings
        spare = register.scale.bits - settings.working_bits + _SLACK_BITS
        count = max(0, math.floor(spare / settings.prime_bits))
        if count == 0 and register.components == 2:
            return register
        scale, variance = register.scale, 0.0
        for drop in range(register.drops, register.drops + count):
            scale = scale / self.divisor(drop)
        if count:
            variance += (rescale_deviation(settings.ring) / float(scale)) ** 2
        operation = "relinearise" if register.components == 3 else "rescale"
        if operation == "relinearise":
            self.relinearisations += register.size
            added = key_switch_deviation(settings.ring) / float(register.scale)
            variance += added**2
        self.noise[number] = math.hypot(self.noise.get(number, 0.0), math.sqrt(variance))
        step = self.steps[register.step]
        self.steps[register.step] = dataclasses.replace(step, node=-1)
        return self._emit(
            operation,
            (register.drops + count, scale, 2, register.size),
            sources=(register.step,),
            node=number,
            label=step.label,
        )


def _reads_in_order(node: Linear, size: int) -> bool:
    """Whether the layer is one matrix over all entries of its source, in order."""
    flat = node.entries.reshape(-1)
    return node.entries.shape == (1, size, 1) and bool((flat == np.arange(size)).all())


def _leads_to_product(graph: Graph, readers: tuple[tuple[int, ...], ...]) -> list[bool]:
    """Whether a product of encrypted values depends on each node."""
    leads = [False] * len(graph.nodes)
    for number in range(len(graph.nodes) - 1, -1, -1):
        ahead = [r for r in readers[number] if r >= 0]
        leads[number] = any(leads[r] or isinstance(graph.nodes[r], (Square, Multiply)) for r in ahead)
    return leads
