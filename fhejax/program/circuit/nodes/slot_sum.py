"""The sum over all samples, by rotations."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import jax
import numpy as np

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.ckks.operation import calls_kernels
from fhejax.program.circuit.intervals import ValueInterval
from fhejax.program.circuit.lowering.register import Register
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.node import Adjoints, Evaluation, SingleSource
from fhejax.program.circuit.slots import Slots, batch_period
from fhejax.program.circuit.steps.call import (
    Blocks,
    Constants,
    Keys,
    Live,
    StepCall,
    evaluation_of,
    in_groups,
)
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import add_terms
from fhejax.program.circuit.values import Values, window_sums
from fhejax.ring.platform import Device, current_device

if TYPE_CHECKING:
    from fhejax.program.circuit.lowering.state import Lowering


@dataclasses.dataclass(frozen=True)
class SlotSumStep(Step):
    """The sum of consecutive slots and of all blocks, in every slot.

    Attributes:
        count: how many slots are added up, by rotations by 1, 2, 4, .., count / 2.
    """

    operation: ClassVar[str] = "slot_sum"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True
    count: int = 1

    def run(self, call: StepCall) -> Ciphertext:
        """The sums of slots of one block."""
        return _sum_slots(call.evaluation, call.sources[0], self.count)

    def run_blocks(
        self, sources: Sequence[Blocks], leaves: Constants, keys: Keys, live: Live | None, count: int
    ) -> Blocks:
        """The sum over all blocks, which meet here."""
        blocks = sources[0] * (count // len(sources[0]))
        return (_sum_slots(evaluation_of(keys), functools.reduce(_add, blocks), self.count),)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of one key switch for each rotation."""
        repeats = max(1, self.count.bit_length() - 1)
        nanoseconds, launches = key_switches(self.size, before, settings, device)
        return repeats * nanoseconds, repeats * launches

    def counts(self, place: StepPlace) -> OperationCounts:
        """One whole rotation for each power of two below the number of slots."""
        at, count = place.switched, len(self.rotations)
        return self.size * count * rotation(at) + key_reads(at, count)

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return f"slot_sum of {self.count}"

    @property
    def summed_slots(self) -> int:
        """The number of consecutive slots that are added up."""
        return self.count

    @property
    def rotations(self) -> tuple[int, ...]:
        """The powers of two below the number of slots."""
        return tuple(2**i for i in range(max(0, self.count.bit_length() - 1)))


def _sum_slots(keys: EvaluationKeys, ciphertext: Ciphertext, count: int) -> Ciphertext:
    if calls_kernels(ciphertext) or current_device().launches_slowly:
        return in_groups(lambda part: ckks.inner_sum(keys, part, count=count), ciphertext)

    def one(data: jax.Array) -> jax.Array:
        return ckks.inner_sum(keys, ciphertext.replace(data=data), count=count).data

    return ciphertext.replace(data=jax.lax.map(one, ciphertext.data))


def _add(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    return x.replace(data=add_terms([x.data, y.data], x.moduli))


@dataclasses.dataclass(frozen=True, eq=False)
class SlotSum(SingleSource):
    """The sum of `source` over all samples, in every slot; the source is a `Summand`."""

    sums_slots: ClassVar[bool] = True

    source: int
    size: int
    label: str

    def interval(self, known: Sequence[ValueInterval], batch: int) -> ValueInterval:
        """The interval of the source as many times as there are samples."""
        low, high = known[self.source]
        return batch * low, batch * high

    def evaluate(self, given: Evaluation) -> Values:
        """The sum in every column: over all of them, or over each and those after it within a period."""
        values = given.values[self.source]
        if given.slots is None:
            return np.repeat(values.sum(1, keepdims=True), values.shape[1], 1)
        return window_sums(values, given.slots.period)

    def adjoints(self, values: Sequence[Values], adjoint: Values, slots: Slots | None) -> Adjoints:
        """A column is part of the sums that begin at it and before it."""
        period = adjoint.shape[1] if slots is None else slots.period
        yield self.source, np.roll(window_sums(adjoint, period), period - 1, 1)

    def lower(self, lowering: "Lowering", number: int) -> Register:
        """Emit a sum of slots, by rotations by 1, 2, 4, ..

        The noise of the first rotation is added up most, like that of what is summed. In all a total has the
        noise of count - 1 key switches: as if every summand had nearly one.
        """
        source = lowering.registers[self.source]
        count = batch_period(lowering.graph.batch, lowering.settings.ring.slots)
        lowering.add_switch(self.source, source, math.sqrt(1 - 1 / count))
        fields = (source.step,), self.size, 2, -source.drops, source.scale
        return lowering.emit(SlotSumStep(*fields, count, node=number, label=self.label))

    def is_zero_without_sample(self, zero: Callable[[int, np.ndarray | None], bool]) -> bool:
        """Whether the sum is zero there: never, for it is in every slot."""
        return False
