"""The order in which steps are run: that of the plan, but for arguments and drops, so that less is held.

An argument is expanded when it is first read. Where all that a register is still read for are drops to lower
levels, which have fewer primes, these are made at once, and the register is forgotten. Without it encrypted
weights would stay at the level of a training step's forward pass until their update, at a far lower one.
"""

from collections.abc import Sequence

from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.drop import DropStep
from fhejax.program.circuit.steps.step import Step


def execution_order(steps: Sequence[Step], outputs: Sequence[int]) -> list[int]:
    """The numbers of all steps, each after its sources.

    Args:
        steps: in the order of the plan.
        outputs: the registers wanted, which are never forgotten.
    """
    readers: dict[int, list[int]] = {number: [] for number in range(len(steps))}
    for number, step in enumerate(steps):
        for source in set(step.sources):
            readers[source].append(number)
    order: dict[int, None] = {}  # a set that keeps its order

    def make(number: int) -> None:
        """Add a step after its sources, and the drops that it leaves to be made."""
        step = steps[number]
        for source in step.sources:
            if source not in order:
                make(source)
        order.setdefault(number)
        for source in set(step.sources).difference(outputs):
            left = [reader for reader in readers[source] if reader not in order]
            drops = all(isinstance(steps[reader], DropStep) for reader in left)
            if drops and sum(_weight(steps[reader]) for reader in left) < _weight(steps[source]):
                order.update(dict.fromkeys(left))

    for number, step in enumerate(steps):
        if number not in order and not isinstance(step, InputStep):
            make(number)
    for number in range(len(steps)):  # arguments that are read by nothing
        order.setdefault(number)
    return list(order)


def _weight(step: Step) -> int:
    """About the size of a register: residues in units of N, but for primes below level 0."""
    return step.size * step.components * (int(step.level) + 1)
