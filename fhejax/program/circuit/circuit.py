"""A circuit of ciphertexts: the steps of a call, their constants, and how its results are read."""

import dataclasses

import jax

from fhejax.program.circuit.steps import Step
from fhejax.program.tensor.graph import Output


@dataclasses.dataclass(frozen=True)
class Circuit:
    """Steps, their constants, the registers of the encrypted results, and how all results are read."""

    steps: tuple[Step, ...]
    leaves: tuple[jax.Array, ...]
    registers: tuple[int, ...]
    outputs: tuple[Output, ...]
