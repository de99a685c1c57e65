"""A circuit of ciphertexts: the steps of a call, their constants, and how its results are read."""

import dataclasses

import jax

from fhejax.program.circuit.reading import Reading
from fhejax.program.circuit.steps.step import Step


@dataclasses.dataclass(frozen=True)
class Circuit:
    """The steps of a call and their constants.

    Attributes:
        steps: in order.
        leaves: their constants.
        registers: of the encrypted results.
        readings: of all results, in order.
    """

    steps: tuple[Step, ...]
    leaves: tuple[jax.Array, ...]
    registers: tuple[int, ...]
    readings: tuple[Reading, ...]
