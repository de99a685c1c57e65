"""The drop of primes without a division: the same value and scale at a lower level."""

import dataclasses
from typing import ClassVar

from fhejax import ckks
from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.counts.key_switching import division
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step


@dataclasses.dataclass(frozen=True)
class DropStep(Step):
    """The same values and scale with fewer primes."""

    operation: ClassVar[str] = "drop"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertexts at the lower level."""
        return ckks.drop_level(call.sources[0], self.level)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The division of every polynomial where primes come back, as in rational rescaling; else nothing."""
        level = int(self.level)
        if place.table.params.contains(place.before, level):
            return NOTHING
        constants = OperationCounts(products=place.limbs)
        return self.size * self.components * (constants + division(*place.division(level), 1))
