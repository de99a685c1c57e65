"""One ciphertext of a value that has several, where a row is a slot."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall, rows
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class CiphertextOfStep(Step):
    """One ciphertext of a register.

    Attributes:
        place: its number.
    """

    operation: ClassVar[str] = "ciphertext_of"
    place: int = 0

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertext."""
        (source,) = call.sources
        return source.replace(data=rows(source.data, self.place, 1))

    def moved(self, read: int) -> int:
        """The one that is read, and written."""
        return 2

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"ciphertext {self.place}"


@dataclasses.dataclass(frozen=True, eq=False)
class CiphertextOf(SingleSource):
    """The ciphertext of a number, among those of the source.

    Attributes:
        place: its number.
        count: of the source's ciphertexts.
    """

    source: int
    place: int
    count: int
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext."""
        return 1

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of the slots taken."""
        low, high = known[self.source]
        return self._part(low), self._part(high)

    def evaluate(self, given: Evaluation) -> Values:
        """The values of the slots taken."""
        return self._part(given.values[self.source])

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient goes back to the slots that were taken."""
        whole = np.zeros((self.count, *adjoint.shape))
        whole[self.place] = adjoint
        yield self.source, whole.reshape(-1, adjoint.shape[1])

    def _part(self, values: Values) -> Values:
        return np.split(values, self.count)[self.place]

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the choice of one ciphertext, at the level and scale of the source."""
        fields = after(lowering.registers[self.source], size=1)
        return lowering.emit(CiphertextOfStep(*fields, self.place, node=number, label=self.label))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero there."""
        return zero(self.source, None)
