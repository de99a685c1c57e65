"""One ciphertext of a value that has several, where a row is a slot."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.nodes.gather import GatherStep
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.values import Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


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
        """Emit the gather of one ciphertext, at the level and scale of the source."""
        source = lowering.registers[self.source]
        constants = lowering.constant(lambda: np.array([self.place], np.int32))
        step = GatherStep(*after(source, size=1), constants=constants, node=number, label=self.label)
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero there."""
        return zero(self.source, None)
