"""The addition of a plain number to every entry."""

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
class ShiftStep(Step):
    """The source plus plain numbers, whose residues [entry, limb] are the constant."""

    operation: ClassVar[str] = "shift"
    elementwise: ClassVar[bool] = True

    def run(self, call: StepCall) -> Ciphertext:
        """The shifted ciphertexts."""
        return add_plain(call.sources[0], call.leaves[0][..., None])


@kernel
@wide
def add_plain(x: Ciphertext, residues: jax.Array) -> Ciphertext:
    """The sum with encoded polynomials, uint32 [entry, limb, N], or one for all entries.

    A constant polynomial is one number everywhere: [entry, limb, 1].
    """
    body = modular.add(x.data[:, 0], residues, constants(x.moduli).value)
    return x.replace(data=x.data.at[:, 0].set(body))
