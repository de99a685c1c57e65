"""An encrypted argument of the function."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.parameters.deviations import fresh_deviation, fresh_public_deviation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import value_of
from fhejax.program.circuit.node import Adjoints, Evaluation, Node
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.step import Step, equal_runs
from fhejax.program.circuit.values import Values, taken

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class InputStep(Step):
    """An argument as it was encrypted.

    Attributes:
        argument: its number.
    """

    operation: ClassVar[str] = "input"
    argument: int = -1

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertexts of the argument."""
        return call.sources[0]

    def cut(self, leaves: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """Runs of entries, all equally long."""
        return equal_runs(self.size, count)


@dataclasses.dataclass(frozen=True, eq=False)
class Input(Node):
    """An argument of the function: `size` ciphertexts of numbers between low and high.

    Attributes:
        argument: its number.
        shared: whether all samples share one value, in every slot.
        filler: the number in slots without a sample.
        public_key: whether a public key may encrypt it, which adds more noise than the secret one.
        held: where values have a row for each slot, the entry that each one holds, ciphertext after
            ciphertext and one period of each; -1 is none, and holds 0.
    """

    argument: int
    size: int
    low: float
    high: float
    label: str
    shared: bool = False
    filler: float = 0.0
    public_key: bool = False
    held: np.ndarray | None = None

    @property
    def sources(self) -> tuple[int, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The empty tuple, for nothing is read."""
        return ()

    def reading(self, names: Mapping[int, int]) -> "Input":
        """The same node, which reads none."""
        return self

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The range of the numbers that are encrypted."""
        if self.held is None:
            return np.full(self.size, self.low), np.full(self.size, self.high)
        return np.where(self.held < 0, 0.0, self.low), np.where(self.held < 0, 0.0, self.high)

    def evaluate(self, given: Evaluation) -> Values:
        """The entries of the argument."""
        entries = np.asarray(given.arguments[self.argument], np.float64)
        return entries if self.held is None else taken(entries, self.held)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The empty sequence, for nothing is read."""
        yield from ()

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the step that takes the argument."""
        settings = lowering.settings
        scale = lowering.scale(2.0**settings.input_bits)
        deviation = fresh_public_deviation if self.public_key else fresh_deviation
        lowering.add_noise(number, deviation(settings.ring) / value_of(scale))
        drops = np.zeros_like(settings.input_bits, np.int64) if np.ndim(settings.input_bits) else 0
        step = InputStep((), self.size, 2, drops, scale, self.argument, node=number, label=self.label)
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the client's filling is zero there."""
        return not self.shared and self.filler == 0
