"""The sum of several ciphertexts, each rotated one step further than the one before: giant steps."""

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
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scale_alignment import aligned_fields
from fhejax.program.circuit.lowering.scales import AnyScale, Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SeveralSources
from fhejax.program.circuit.nodes.in_slots.masked_sum import reduced_to_one_level
from fhejax.program.circuit.slots import Slots
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import scaled_terms
from fhejax.program.circuit.values import Values
from fhejax.ring.platform import Device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class SteppedSumStep(Step):
    """The sum of registers, the k-th rotated by k times a distance.

    From the last one on, what was added up is rotated by one distance and the next is added: each rotation
    is by the same distance, for which one key does.

    Constants: for each register its integers' residues [1, limb].

    Attributes:
        weight_scales: of each register's integers, which make the scales equal.
        distance: of one step, modulo the slots; positive ones are to the left.
    """

    operation: ClassVar[str] = "stepped_sum"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    weight_scales: tuple[AnyScale, ...] = ()
    distance: int = 0

    def run(self, call: StepCall) -> Ciphertext:
        """The sum, register by register."""
        terms = [
            call.sources[0].replace(data=data, scale=self.scale)
            for data in scaled_terms(call.sources, call.leaves, 2)
        ]
        total = terms.pop()
        while terms:
            total = ckks.add(terms.pop(), ckks.rotate(call.evaluation, total, self.distance))
        return total

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of one key switch for each register but the first."""
        nanoseconds, launches = key_switches(self.size, before, settings, device)
        return self.rotations_done * nanoseconds, self.rotations_done * launches

    def counts(self, place: StepPlace) -> OperationCounts:
        """One whole rotation for each register but the first."""
        return self.rotations_done * rotation(place.switched) + key_reads(place.switched)

    @property
    def rotations(self) -> tuple[int, ...]:
        """The one distance."""
        return (self.distance,)

    @property
    def rotations_done(self) -> int:
        """One rotation for each register but the first."""
        return len(self.sources) - 1

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"sum of {len(self.sources)}, rotated"


@dataclasses.dataclass(frozen=True, eq=False)
class SteppedSum(SeveralSources):
    """The sum over k of source k rotated by k times a distance, where a row is a slot of one period.

    Attributes:
        sources: of one ciphertext each, two or more.
        distance: signed, of one period of the slots; slot s of a rotation by d holds slot s + d.
    """

    sources: tuple[int, ...]
    distance: int
    label: str

    @property
    def size(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One ciphertext."""
        return 1

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The sums of the ends of the sources' intervals."""
        lows, highs = zip(*(known[source] for source in self.sources), strict=True)
        return self._summed(lows), self._summed(highs)

    def evaluate(self, given: Evaluation) -> Values:
        """The sum."""
        return self._summed([given.values[source] for source in self.sources])

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """The gradient, rotated back for each source."""
        for place, source in enumerate(self.sources):
            yield source, np.roll(adjoint, place * self.distance, 0)

    def _summed(self, parts: Sequence[Values]) -> Values:
        total = parts[0]
        for place, part in enumerate(parts[1:], 1):
            total = total + np.roll(part, -place * self.distance, 0)
        return total

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit the sum of the sources at one level and scale; each rotation adds the noise of one switch."""
        registers = reduced_to_one_level(lowering, self.sources)
        fields, constants = aligned_fields(lowering, registers, 1)
        distance = self.distance % lowering.settings.ring.slots
        named = {"constants": constants, "node": number, "label": self.label}
        step = SteppedSumStep(*fields, distance=distance, **named)
        register = lowering.emit(step)
        lowering.add_switch(number, register, math.sqrt(len(self.sources) - 1))
        return register

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether all sources are zero everywhere, which is not known."""
        return False
