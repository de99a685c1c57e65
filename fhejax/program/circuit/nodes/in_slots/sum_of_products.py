"""Sums of products of pairs of values, slot by slot, which are summed before anything is relinearised."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import tensor
from fhejax.program.circuit.intervals import ValueInterval, product_interval, shifted_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import aligned_fields, at_one_level
from fhejax.program.circuit.lowering.scales import Real, scale_product
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, Node
from fhejax.program.circuit.nodes.combination import CombinationStep
from fhejax.program.circuit.nodes.product import Shifts
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values, shifted
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

Pairs = tuple[tuple[int, int], ...]
_SAME_BITS = 1e-9  # by which logarithms of equal scales differ at most


@dataclasses.dataclass(frozen=True)
class SumOfProductsStep(Step):
    """The sum of products of registers in pairs, with three components.

    Attributes:
        pairs: the places, among the sources, of the two factors of each product.
    """

    operation: ClassVar[str] = "sum_of_products"
    pairs: Pairs = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum of tensors."""
        products = (ckks.evaluation.tensor(call.sources[x], call.sources[y]) for x, y in self.pairs)
        return functools.reduce(ckks.add, products).replace(scale=self.scale)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of the products."""
        products = limbs * settings.ring.degree * self.components * len(self.pairs) * device.costs.product
        return products, 2 * len(self.pairs)

    def counts(self, place: StepPlace) -> OperationCounts:
        """One product of ciphertexts for each pair."""
        return self.size * len(self.pairs) * tensor(place.limbs)

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"sum of {len(self.pairs)} products"


@dataclasses.dataclass(frozen=True, eq=False)
class SumOfProducts(Node):
    """The sum over pairs of (first + its shift) * (second + its shift), slot by slot.

    Attributes:
        pairs: the two nodes of each product, of one ciphertext each.
        shifts: of each pair, those of both factors, float64 [slot] of one period, or None.
    """

    multiplies: ClassVar[bool] = True

    pairs: Pairs
    shifts: tuple[Shifts, ...]
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext."""
        return 1

    @property
    def sources(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The nodes of all factors, each once."""
        return tuple(dict.fromkeys(node for pair in self.pairs for node in pair))

    def reading(self, names: Mapping[int, int]) -> "SumOfProducts":
        """The same node, whose factors are others."""
        return dataclasses.replace(self, pairs=tuple((names[x], names[y]) for x, y in self.pairs))

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The shifts of all factors."""
        return tuple(shift for pair in self.shifts for shift in pair)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sum of the intervals of products."""
        found = [
            product_interval(
                *(shifted_interval(known[s], shift) for s, shift in zip(pair, shifts, strict=True))
            )
            for pair, shifts in zip(self.pairs, self.shifts, strict=True)
        ]
        lows, highs = zip(*found, strict=True)
        return functools.reduce(np.add, lows), functools.reduce(np.add, highs)

    def evaluate(self, given: Evaluation) -> Values:
        """The sum of products."""
        return functools.reduce(np.add, (x * y for x, y in self._factors(given.values)))

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each factor: the other one times that of the sum."""
        for (first, second), (x, y) in zip(self.pairs, self._factors(values), strict=True):
            yield first, adjoint * y
            yield second, adjoint * x

    def _factors(self, values: Sequence[Values]) -> list[tuple[Values, Values]]:
        """The values of both factors of each product, with their shifts."""
        triples = zip(self.pairs, self.shifts, strict=True)
        return [(shifted(values[x], a), shifted(values[y], b)) for (x, y), (a, b) in triples]

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the sum, once all factors are at one level; products of other scales are added by integers."""
        factors = [list(zip(p, q, strict=True)) for p, q in zip(self.pairs, self.shifts, strict=True)]
        known = {(source, _key(shift)): shift for pair in factors for source, shift in pair}
        registers = at_one_level(lowering, [source for source, _ in known])
        registers = [
            lowering.shift(r, shift, self.label) for r, shift in zip(registers, known.values(), strict=True)
        ]
        places = {name: place for place, name in enumerate(known)}
        pairs = [(places[x, _key(shift)], places[y, _key(other)]) for (x, shift), (y, other) in factors]
        groups: dict[int, Pairs] = {}
        for x, y in pairs:
            bits = scale_product(registers[x].scale, registers[y].scale).bits
            name = round(float(np.max(bits)) / _SAME_BITS)
            groups[name] = (*groups.get(name, ()), (x, y))
        if len(groups) == 1:
            return self._emitted(lowering, registers, tuple(pairs), number)
        sums = [self._emitted(lowering, registers, group, -1) for group in groups.values()]
        fields, constants = aligned_fields(lowering, sums, self.size)
        return lowering.emit(CombinationStep(*fields, constants=constants, node=number, label=self.label))

    def _emitted(
        self, lowering: "Lowering", registers: Sequence[Register], pairs: Pairs, node: int
    ) -> Register:
        """The step of some of the products, all of one scale."""
        used = sorted({place for pair in pairs for place in pair})
        names = {place: name for name, place in enumerate(used)}
        own = tuple((names[x], names[y]) for x, y in pairs)
        scale = scale_product(registers[pairs[0][0]].scale, registers[pairs[0][1]].scale)
        fields = tuple(registers[place].step for place in used), 1, 3, -registers[0].drops, scale
        return lowering.emit(SumOfProductsStep(*fields, own, node=node, label=self.label))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether one factor of every product is zero there."""
        pairs = zip(self.pairs, self.shifts, strict=True)
        return all(any(zero(s, t) for s, t in zip(p, q, strict=True)) for p, q in pairs)


def _key(shift: np.ndarray | None) -> bytes:
    return b"" if shift is None else shift.tobytes()
