"""`program.verify`: every layer in the clear, in fixed point, and encrypted."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.ckks import Ciphertext, SecretKey
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.steps.call import Keys
from fhejax.program.circuit.steps.step import Step
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.run.blocks import count_samples, live_slots
from fhejax.program.run.client import decrypt_entries
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.execution import run
from fhejax.program.specialisation import SpecialisedCircuit


@dataclasses.dataclass(frozen=True)
class VerifiedLayer:
    """The largest values and the errors of one layer.

    magnitude: largest clear value. fixed_error: of weights rounded, against the clear. encrypted_error: of
    decryption, against fixed point, both root mean squares. largest_error: of decryption against the
    clear. bits: -log2 of that error relative to the clear values, both as root mean squares.
    """

    label: str
    operation: str
    level: int
    magnitude: float
    fixed_error: float
    encrypted_error: float
    largest_error: float
    bits: float


@dataclasses.dataclass(frozen=True)
class Verification:
    """The comparison of all layers, in order; printing it prints a table."""

    layers: tuple[VerifiedLayer, ...]

    @property
    def bits(self) -> float:
        """The bits of precision at the worst layer."""
        return min(layer.bits for layer in self.layers)

    def __str__(self) -> str:
        head = f"{'layer':44}{'step':>12}{'level':>6}{'max|x|':>10}{'rounding':>10}{'noise':>10}{'bits':>7}"
        rows = [
            f"{layer.label[:43]:44}{layer.operation:>12}{layer.level:>6}{layer.magnitude:>10.3g}"
            f"{layer.fixed_error:>10.2e}{layer.encrypted_error:>10.2e}{layer.bits:>7.1f}"
            for layer in self.layers
        ]
        return "\n".join([head, *rows])


def verify(
    plan: ProgramPlan,
    specialised: SpecialisedCircuit,
    secret: SecretKey,
    keys: Keys,
    arguments: Sequence[Any],
    entries: list[np.ndarray],
) -> Verification:
    """The comparison of every node's value, decrypted from the first block, step by step.

    Args:
        plan: of the program.
        specialised: the circuit for the values of the plain arguments.
        secret: opens what is compared.
        keys: of the same secret.
        arguments: encrypted ones, and plain ones as they are.
        entries: of the same arguments in the clear, [size, sample].
    """
    circuit = specialised.circuit
    clear = evaluate_graph(specialised.graph, entries)
    fixed = evaluate_graph(specialised.graph, entries, rounding=specialised.lowered.rounding)
    layers: list[VerifiedLayer] = []
    holders = [a if isinstance(a, EncryptedArray) else None for a in arguments]
    count = count_samples(plan, holders)
    samples = min(plan.params.slots, count)

    def watch(number: int, step: Step, register: Ciphertext) -> None:
        if step.node >= 0:
            known = clear[step.node], fixed[step.node]
            found = decrypt_entries(secret, register)
            if plan.layouts:  # the first sample, one period of whose slots is known
                found = found[:, : len(known[0]) // len(found)].reshape(-1, 1)
            width = 1 if plan.layouts else samples
            rows = known[0][:, :width], known[1][:, :width]
            found = found[:, :width]
            layers.append(_layer(step, *rows, found))

    made = [None if a is None else functools.partial(a.flat_blocks, range(a.data.shape[0])) for a in holders]
    blocks = max(a.data.shape[0] for a in holders if a is not None)
    run(circuit.steps, circuit.leaves, keys, made, blocks, circuit.registers, live_slots(plan, count), watch)
    return Verification(tuple(layers))


def _root_mean_square(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _layer(step: Step, clear: np.ndarray, fixed: np.ndarray, found: np.ndarray) -> VerifiedLayer:
    error, size = _root_mean_square(found - clear), _root_mean_square(clear)
    return VerifiedLayer(
        step.label,
        step.operation,
        step.level,
        float(np.abs(clear).max()),
        _root_mean_square(fixed - clear),
        _root_mean_square(found - fixed),
        float(np.abs(found - clear).max()),
        math.log2(size / error) if size and error else 60.0,
    )
