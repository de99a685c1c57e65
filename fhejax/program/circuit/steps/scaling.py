"""A product with a power of two: the same values at a larger scale."""

import dataclasses
from typing import ClassVar

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import OperationCounts
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.steps.terms import scaled_terms


@dataclasses.dataclass(frozen=True)
class ScalingStep(Step):
    """The source times a power of two, whose residues [entry, limb] are the constant: exact."""

    operation: ClassVar[str] = "scale"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The ciphertexts at the larger scale."""
        (data,) = scaled_terms(call.sources, call.leaves, self.components)
        return call.sources[0].replace(data=data, scale=self.scale)

    def counts(self, place: StepPlace) -> OperationCounts:
        """The products with a constant for each limb."""
        return OperationCounts(products=self.size * self.components * place.limbs)
