"""Entries taken from a value, in any order, with zeros between."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.intervals import ValueInterval, taken_interval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.step import Step, equal_runs
from fhejax.program.circuit.values import Values, named_entries, renamed_entries, scattered, taken

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class GatherStep(Step):
    """A choice of ciphertexts from a register.

    Constants: int32 [entry], which; -1 is a ciphertext of zeros.
    """

    operation: ClassVar[str] = "gather"

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertexts that were named."""
        data = jnp.concatenate([source.data for source in call.sources])  # one, or its tiles
        entries = call.leaves[0]
        chosen = jnp.take(data, jnp.maximum(entries, 0), axis=0)
        zeroed = jnp.where((entries < 0)[:, None, None, None], jnp.uint32(0), chosen)
        return call.sources[0].replace(data=zeroed)

    def cut(self, leaves: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """Runs of entries, all equally long."""
        return equal_runs(self.size, count)

    def entries_read(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray
    ) -> tuple[np.ndarray | None, ...]:
        """The entries that are named."""
        return (named_entries(leaves[0][entries]),)

    def part(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray, places: np.ndarray
    ) -> tuple[Step, tuple[np.ndarray, ...]]:
        """The gather of some of the ciphertexts."""
        return dataclasses.replace(self, size=len(entries)), (renamed_entries(leaves[0][entries], places),)


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(SingleSource):
    """The entries source[entries] of a node, zero where an entry is -1."""

    source: int
    entries: np.ndarray
    size: int
    label: str

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The intervals of the entries taken."""
        return taken_interval(known[self.source], self.entries)

    def evaluate(self, given: Evaluation) -> Values:
        """The values of the entries taken."""
        return taken(given.values[self.source], self.entries)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient goes back to where each entry was taken from."""
        yield self.source, scattered(adjoint, self.entries, len(values[self.source]))

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the gather, at the level and scale of the source."""
        source = lowering.registers[self.source]
        constants = lowering.constant(lambda: self.entries)
        step = GatherStep(
            (source.step,),
            self.size,
            source.components,
            -source.drops,
            source.scale,
            constants=constants,
            node=number,
            label=self.label,
        )
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero there."""
        return zero(self.source, None)
