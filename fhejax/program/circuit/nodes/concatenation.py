"""The entries of several values one after the other."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import aligned_fields, at_one_level
from fhejax.program.circuit.lowering.scales import AnyScale
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import scaled_terms
from fhejax.program.circuit.values import Values

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class ConcatenationStep(Step):
    """The ciphertexts of several registers, each times an integer that makes the scales equal.

    Constants: for each register its integers' residues [entry, limb].

    Attributes:
        weight_scales: of each register's integers.
    """

    operation: ClassVar[str] = "concatenate"
    weight_scales: tuple[AnyScale, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertexts of all sources at the common scale."""
        data = jnp.concatenate(scaled_terms(call.sources, call.leaves, self.components))
        return call.sources[0].replace(data=data, scale=self.scale)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The products of every entry with its integer."""
        return OperationCounts(products=self.size * self.components * place.limbs)


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate(SeveralSources):
    """The entries of several nodes one after the other."""

    sources: tuple[int, ...]
    size: int
    label: str

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The intervals of all sources."""
        parts = [known[s] for s in self.sources]
        return np.concatenate([low for low, _ in parts]), np.concatenate([high for _, high in parts])

    def evaluate(self, given: Evaluation) -> Values:
        """The values of all sources."""
        return np.concatenate([given.values[s] for s in self.sources])

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient of each source: its rows of the whole."""
        sizes = [len(values[s]) for s in self.sources]
        yield from zip(self.sources, np.split(adjoint, np.cumsum(sizes)[:-1]), strict=True)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the concatenation at a scale that all sources can reach by integers."""
        registers = at_one_level(lowering, self.sources)
        fields, constants = aligned_fields(lowering, registers, self.size)
        step = ConcatenationStep(*fields, constants=constants, node=number, label=self.label)
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero there."""
        return all(zero(source, None) for source in self.sources)
