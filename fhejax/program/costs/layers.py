"""The layers of a plan: steps that come from one line of the function, with their counts."""

import dataclasses
from collections.abc import Iterator

from fhejax.ckks.counts import NOTHING, LimbTable, OperationCounts
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.program.circuit.steps.step import Step
from fhejax.program.levels.plan import ProgramPlan
from fhejax.ring.platform import DEVICES


@dataclasses.dataclass(frozen=True)
class Layer:
    """Steps in a row that come from one line, and what they take for all blocks.

    Attributes:
        label: the primitive and the source line, or the name of the only step without one.
        steps: numbers of its steps.
        counts: of their operations.
        launches: of kernels on a GPU.
    """

    label: str
    steps: tuple[int, ...]
    counts: OperationCounts
    launches: float


def layers(plan: ProgramPlan, table: LimbTable) -> tuple[Layer, ...]:
    """The layers of a plan that do anything, in order; a step without a line belongs to the next.

    Args:
        plan: of the program.
        table: limbs of its levels on the machine that is looked at.
    """
    found = []
    for label, numbers in _runs(plan.steps):
        counted = sum((step_counts(plan, number, table) for number in numbers), NOTHING)
        launches = plan.blocks * sum(_launches(plan, number) for number in numbers)
        if counted != NOTHING:
            found.append(Layer(label, tuple(numbers), plan.blocks * counted, launches))
    return tuple(found)


def step_counts(plan: ProgramPlan, number: int, table: LimbTable) -> OperationCounts:
    """The counts of one step in one block, with the ciphertexts that it reads and writes.

    Args:
        plan: of the program.
        number: of the step.
        table: limbs of its levels.
    """
    step = plan.steps[number]
    read = [plan.steps[source] for source in step.sources]
    before = read[0] if read else step
    place = StepPlace(table, int(before.level), before.size, plan.bootstrapping)
    moved = sum(s.size * s.components * table.limbs(int(s.level)) for s in [step, *read] if read)
    return step.counts(place) + OperationCounts(ciphertext_limbs=moved)


def _runs(steps: tuple[Step, ...]) -> Iterator[tuple[str, list[int]]]:
    """The label and the numbers of the steps of each layer."""
    numbers: list[int] = []
    for number, step in enumerate(steps):
        numbers.append(number)
        following = next((s.label for s in steps[number + 1 :] if s.label), None)
        if step.label and step.label != following:
            yield step.label, numbers
            numbers = []
    if numbers:
        yield steps[numbers[-1]].title, numbers


def _launches(plan: ProgramPlan, number: int) -> float:
    """The kernels of one step on a GPU."""
    step, gpu = plan.steps[number], DEVICES["h200"]
    before = plan.steps[step.sources[0]].level if step.sources else step.level
    limbs, read = (len(plan.params.level_moduli(int(level))) for level in (step.level, before))
    _, launches = step.work(limbs, read, plan.settings, gpu)
    return float(launches) + step.bootstraps * gpu.costs.bootstrap_launches + 1
