"""Rescaling: a division by the primes between two levels."""

import dataclasses
from typing import ClassVar

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.ckks.counts.key_switching import division
from fhejax.program.circuit.lowering.scales import Real
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.ring.platform import Device


@dataclasses.dataclass(frozen=True)
class RescaleStep(Step):
    """The same values at a lower level and scale."""

    operation: ClassVar[str] = "rescale"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The rescaled ciphertexts."""
        return ckks.rescale(call.sources[0], self.level)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The transforms of both components, there and back."""
        return self.size * 2 * before * settings.ring.degree * device.costs.transform, 0

    def counts(self, place: StepPlace) -> OperationCounts:
        """The division of every polynomial."""
        dropped, left = place.division(int(self.level))
        return self.size * division(dropped, left, self.components)
