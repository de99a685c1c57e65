"""Sums over slots of one ciphertext: a value plus itself rotated, again and again."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register, after
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.nodes.in_slots.plane_map import rotated_planes
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall, in_groups
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.values import Values
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class RotatedSumStep(Step):
    """A register plus itself rotated by each distance in turn, modulo the slots.

    Attributes:
        distances: of the rotations, in order; positive ones are to the left.
    """

    operation: ClassVar[str] = "rotated_sum"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    distances: tuple[int, ...] = ()

    def run(self, call: StepCall) -> Ciphertext:
        """The sum, rotation by rotation."""

        def one(part: Ciphertext) -> Ciphertext:
            for distance in self.distances:
                part = ckks.add(part, ckks.rotate(call.evaluation, part, distance))
            return part

        return in_groups(one, call.sources[0])

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of one key switch for each rotation."""
        nanoseconds, launches = key_switches(self.size, before, settings, device)
        return len(self.distances) * nanoseconds, len(self.distances) * launches

    def switch_calls(self, together: int) -> int:
        """One for each distance, in a loop over ciphertexts."""
        return len(self.distances)

    def counts(self, place: StepPlace) -> OperationCounts:
        """One whole rotation for each distance and ciphertext."""
        at = place.switched
        return self.rotations_done * rotation(at) + key_reads(at, len(self.rotations))

    @property
    def rotations(self) -> tuple[int, ...]:
        """The distances, each once."""
        return tuple(sorted(set(self.distances)))

    @property
    def rotations_done(self) -> int:
        """One rotation for each distance and ciphertext."""
        return self.size * len(self.distances)

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"sum by {len(self.distances)} rotations"


@dataclasses.dataclass(frozen=True, eq=False)
class RotatedSum(SingleSource):
    """The source plus itself rotated by each distance in turn, where a row is a slot of one period.

    Attributes:
        distances: signed, each of one period of the slots; slot s of a rotation by d holds slot s + d.
        planes: 0 where columns are calls; else the period of planes, beyond which the next column's lie.
    """

    source: int
    distances: tuple[int, ...]
    size: int
    label: str
    planes: int = 0

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sums of the ends of the source's interval."""
        low, high = (self._summed(end[:, None], 1)[:, 0] for end in known[self.source])
        return low, high

    def evaluate(self, given: Evaluation) -> Values:
        """The sum."""
        return self._summed(given.values[self.source], 1)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient plus itself rotated the other way: rotations commute."""
        yield self.source, self._summed(adjoint, -1)

    def _summed(self, values: Values, sign: int) -> Values:
        for distance in self.distances:
            values = values + self._rotated(values, sign * distance)
        return values

    def _rotated(self, values: Values, distance: int) -> Values:
        if not self.planes:
            return np.roll(values, -distance, 0)
        planes = values.reshape(-1, self.planes, values.shape[1])
        return rotated_planes(planes, distance).reshape(values.shape)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the sum of the source with two components and no more primes than it needs.

        The noise of the first rotation is added up most. In all it is that of 2^rotations - 1 key switches.
        """
        source = lowering.reduce(self.source, lowering.registers[self.source])
        lowering.registers[self.source] = source
        slots = lowering.settings.ring.slots
        distances = tuple(distance % slots for distance in self.distances)
        lowering.add_switch(number, source, math.sqrt(2 ** len(distances) - 1))
        step = RotatedSumStep(*after(source), distances, node=number, label=self.label)
        return lowering.emit(step)

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the source is zero everywhere, which is not known."""
        return False
