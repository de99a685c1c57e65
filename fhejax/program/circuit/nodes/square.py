"""The square of a value, entry by entry."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import tensor
from fhejax.program.circuit.intervals import ValueInterval, shifted_interval, square_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import scale_product
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values, shifted

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class SquareStep(Step):
    """The squares of a register, with three components."""

    operation: ClassVar[str] = "square"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The tensor of the source with itself."""
        return ckks.evaluation.square_tensor(call.sources[0])

    def counts(self, place: StepPlace) -> OperationCounts:
        """One square for each entry."""
        return self.size * tensor(place.limbs, square=True)


@dataclasses.dataclass(frozen=True, eq=False)
class ElementwiseSquare(SingleSource):
    """The square (source + shift)^2, entry by entry."""

    multiplies: ClassVar[bool] = True

    source: int
    shift: np.ndarray | None
    size: int
    label: str

    def plain_numbers(self) -> tuple[np.ndarray | None, ...]:
        """The shift of the value before it is squared."""
        return (self.shift,)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of squares, which are never negative."""
        return square_interval(*shifted_interval(known[self.source], self.shift))

    def evaluate(self, given: Evaluation) -> Values:
        """The squares."""
        return shifted(given.values[self.source], self.shift) ** 2

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient times twice the value."""
        yield self.source, 2 * shifted(values[self.source], self.shift) * adjoint

    def lower(self, lowering: "Lowering", number: int) -> Register | None:
        """Emit the squares, unless the linear layer that reads them computes them tile by tile."""
        if self._is_part_of_reader(lowering, number):
            return None
        source = lowering.shift(lowering.registers[self.source], self.shift, self.label)
        scale = scale_product(source.scale, source.scale)
        step = SquareStep((source.step,), self.size, 3, -source.drops, scale, node=number, label=self.label)
        return lowering.emit(step)

    def _is_part_of_reader(self, lowering: "Lowering", number: int) -> bool:
        """Whether the square is read by one linear node only, and need not be relinearised before it."""
        readers = lowering.readers[number]
        if len(readers) != 1 or readers[0] < 0 or self.shift is not None:
            return False
        register = Register(0, 0, lowering.scale(1.0), 3, self.size)
        before = lowering.relinearises_before_linear(number, register)
        return lowering.graph.nodes[readers[0]].mixes_entries and not before

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source with the shift is zero there."""
        return zero(self.source, self.shift)
