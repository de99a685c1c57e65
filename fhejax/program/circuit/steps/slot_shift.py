"""The addition of plain numbers to the slots, another one to each."""

import dataclasses
from typing import ClassVar

import jax

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.steps.call import StepCall
from fhejax.program.circuit.steps.step import Step
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide


@dataclasses.dataclass(frozen=True)
class SlotShiftStep(Step):
    """The source plus plain numbers in its slots, whose residues [1, limb, N] are the constant."""

    operation: ClassVar[str] = "slot_shift"

    def run(self, call: StepCall) -> Ciphertext:
        """The shifted ciphertexts."""
        return add_slots(call.sources[0], call.leaves[0])


@kernel
@wide
def add_slots(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """The sum of ciphertexts and an encoded polynomial, uint32 [1, limb, N]."""
    body = modular.add(x.data[:, 0], residues, constants(x.moduli).value)
    return x.replace(data=x.data.at[:, 0].set(body))
