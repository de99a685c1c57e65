"""The addition of plain numbers to the slots, another one to each."""

import dataclasses
from typing import ClassVar

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.shift import add_plain
from fhejax.program.circuit.steps.step import Step


@dataclasses.dataclass(frozen=True)
class SlotShiftStep(Step):
    """The source plus plain numbers in its slots, whose residues [1, limb, N] are the constant."""

    operation: ClassVar[str] = "slot_shift"

    def run(self, call: StepCall) -> Ciphertext:
        """The shifted ciphertexts."""
        return add_plain(call.sources[0], call.leaves[0])
