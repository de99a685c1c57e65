"""The product of two values, entry by entry."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import tensor
from fhejax.program.circuit.intervals import ValueInterval, product_interval, shifted_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import maximum, scale_product
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values, shifted

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering

Shifts = tuple[np.ndarray | None, np.ndarray | None]


@dataclasses.dataclass(frozen=True)
class ProductStep(Step):
    """The products of two registers, with three components."""

    operation: ClassVar[str] = "multiply"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The tensor of both sources."""
        return ckks.evaluation.tensor(*call.sources)

    def counts(self, place: StepPlace) -> OperationCounts:
        """One product of ciphertexts for each entry."""
        return self.size * tensor(place.limbs)


@dataclasses.dataclass(frozen=True, eq=False)
class ElementwiseProduct(SeveralSources):
    """The product (first + shift) * (second + shift), entry by entry."""

    multiplies: ClassVar[bool] = True

    sources: tuple[int, int]
    shifts: Shifts
    size: int
    label: str

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The shifts of both factors."""
        return self.shifts

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of products."""
        pairs = zip(self.sources, self.shifts, strict=True)
        return product_interval(*(shifted_interval(known[s], shift) for s, shift in pairs))

    def evaluate(self, given: Evaluation) -> Values:
        """The products."""
        first, second = shifted_operands(self.sources, self.shifts, given.values)
        return first * second

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each factor: the other factor times that of the product."""
        first, second = shifted_operands(self.sources, self.shifts, values)
        yield self.sources[0], adjoint * second
        yield self.sources[1], adjoint * first

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the products, once both factors are at one level."""
        first, second = lowered_operands(lowering, self.sources, self.shifts, self.label)
        scale = scale_product(first.scale, second.scale)
        steps = (first.step, second.step)
        return lowering.emit(
            ProductStep(steps, self.size, 3, -first.drops, scale, node=number, label=self.label)
        )

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether one of the factors is zero there."""
        return any(map(zero, self.sources, self.shifts))


def shifted_operands(
    sources: tuple[int, int], shifts: Shifts, values: Sequence[Values]
) -> tuple[Values, Values]:
    """The values of both factors, with their shifts."""
    first, second = (shifted(values[s], shift) for s, shift in zip(sources, shifts, strict=True))
    return first, second


def lowered_operands(
    lowering: "Lowering", sources: tuple[int, int], shifts: Shifts, label: str
) -> tuple[Register, Register]:
    """The registers of both factors, with their shifts, at one level."""
    pairs = zip(sources, shifts, strict=True)
    first, second = (lowering.shift(lowering.registers[s], shift, label) for s, shift in pairs)
    drops = maximum(first.drops, second.drops)
    return lowering.drop(first, drops), lowering.drop(second, drops)
