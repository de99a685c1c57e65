"""The real part: what noise and rounding have left in imaginary parts is taken away."""

import dataclasses
from typing import ClassVar

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import key_reads, rotation
from fhejax.ckks.keys.manifest import Use
from fhejax.program.circuit.lowering.scales import Real, exact_scale
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.steps.call import StepCall, in_groups
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.relinearise import key_switches
from fhejax.program.circuit.steps.step import Step
from fhejax.ring.platform import Device


@dataclasses.dataclass(frozen=True)
class RealPartStep(Step):
    """The source plus its conjugate: twice the real numbers that it holds, at twice their scale.

    Slots of the standard ring are complex, and so is noise. Two ciphertexts that go in one bootstrap, as
    x + i y, would leave the imaginary part of each one's noise in the real numbers of the other.
    """

    operation: ClassVar[str] = "real_part"
    switches_keys: ClassVar[bool] = True
    rotates: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The sums with conjugates."""

        def one(part: Ciphertext) -> Ciphertext:
            return ckks.add(part, ckks.evaluation.conjugate(call.evaluation, part))

        return in_groups(one, call.sources[0]).replace(scale=exact_scale(self.scale))

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds and kernels of one key switch for each ciphertext."""
        return key_switches(self.size, before, settings, device)

    def counts(self, place: StepPlace) -> OperationCounts:
        """One conjugation for each ciphertext."""
        return self.size * rotation(place.switched) + key_reads(place.switched)

    @property
    def own_keys(self) -> dict[Use, int]:
        """The key for conjugation."""
        return {"conjugate": self.level}
