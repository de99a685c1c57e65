"""One ciphertext rotated by several distances, decomposed once for all of them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax.numpy as jnp
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import decomposition, key_reads, rotation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import hoisted_key_switches
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class RotationsStep(Step):
    """A register of one ciphertext rotated by each distance, one result after the other.

    Attributes:
        distances: of the rotations, modulo the slots; none is zero.
    """

    operation: ClassVar[str] = "rotations"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    distances: tuple[int, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The rotations, which share one decomposition."""
        (source,) = call.sources
        rotated = ckks.rotate_hoisted(call.evaluation, source, self.distances)
        return source.replace(data=jnp.concatenate([one.data for one in rotated]))

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of key switches of one ciphertext that share its decomposition."""
        return hoisted_key_switches(len(self.distances), before, settings, device)

    def counts(self, place: StepPlace) -> OperationCounts:
        """One decomposition, and for each distance what else a rotation takes."""
        at, count = place.switched, len(self.distances)
        return count * rotation(at) + (1 - count) * decomposition(at) + key_reads(at, len(self.rotations))

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances, each once."""
        return tuple(sorted(set(self.distances)))

    @property
    def rotations_done(self) -> int:
        """One rotation for each distance."""
        return len(self.distances)

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"{len(self.distances)} rotations at once"


@dataclasses.dataclass(frozen=True, eq=False)
class Rotations(SingleSource):
    """The ciphertext of the source rotated by each distance, where a row is a slot of one period.

    Attributes:
        distances: of one period, none of them zero; slot s of a rotation by d holds slot s + d.
    """

    source: int
    distances: tuple[int, ...]
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext for each distance."""
        return len(self.distances)

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The source's interval, rotated."""
        low, high = known[self.source]
        return self._rotated(low), self._rotated(high)

    def evaluate(self, given: Evaluation) -> Values:
        """The rotations, one after the other."""
        return self._rotated(given.values[self.source])

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The sum of the gradients, each rotated back."""
        parts = np.split(adjoint, len(self.distances))
        yield self.source, sum(np.roll(p, d, 0) for p, d in zip(parts, self.distances, strict=True))  # pyright: ignore[reportReturnType]

    def _rotated(self, values: Values) -> Values:
        return np.concatenate([np.roll(values, -distance, 0) for distance in self.distances])

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the rotations of the source with two components and no more primes than it needs."""
        source = lowering.reduce(self.source, lowering.registers[self.source])
        lowering.registers[self.source] = source
        slots = lowering.settings.ring.slots
        distances = tuple(distance % slots for distance in self.distances)
        lowering.add_switch(number, source)
        fields = after(source, size=len(distances))
        return lowering.emit(RotationsStep(*fields, distances, node=number, label=self.label))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero everywhere, which is not known."""
        return False
