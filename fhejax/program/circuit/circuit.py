"""A circuit of ciphertexts: the steps of a call, their constants, and how its results are read."""

import dataclasses

import jax

from fhejax.program.circuit.graph import Output
from fhejax.program.circuit.steps.step import Step


@dataclasses.dataclass(frozen=True)
class Circuit:
    """The steps of a call, their constants, the registers of encrypted results, and all results' views."""

    steps: tuple[Step, ...]
    leaves: tuple[jax.Array, ...]
    registers: tuple[int, ...]
    outputs: tuple[Output, ...]
