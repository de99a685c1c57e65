"""Steps that are one executable together, where launching takes time of its own.

A group is a run of steps of few enough key switches that compiling it takes no minutes. Its registers and
constants are numbered anew, so that equal groups of a program, such as a network's blocks, share their
executable. A bootstrap is several executables of its own, and a step of very many key switches is called
kernel by kernel.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Blocks, Constants, Keys, Live, evaluation_of
from fhejax.program.circuit.steps.step import Step
from fhejax.ring.one_executable import in_one_executable
from fhejax.ring.platform import Device


@dataclasses.dataclass(frozen=True)
class StepGroup:
    """Steps that follow each other.

    Attributes:
        numbers: of the steps, and of the registers that they make.
        reads: the registers of other steps that they read.
        constants: the leaves that they use.
        steps: the steps, whose sources are places among `reads` and then among `numbers`, and whose constants
            are places in `constants`; none where they are not one executable.
        wanted: the places among `numbers` of the registers that others read.
    """

    numbers: tuple[int, ...]
    reads: tuple[int, ...] = ()
    constants: tuple[int, ...] = ()
    steps: tuple[Step, ...] = ()
    wanted: tuple[int, ...] = ()

    def run(
        self, registers: Mapping[int, Blocks], leaves: Constants, keys: Keys, live: Live | None, count: int
    ) -> dict[int, Blocks]:
        """The wanted registers, in one executable: arguments as of `Step.run_blocks`, but for all steps."""
        read = [registers[number] for number in self.reads]
        arguments = read, [leaves[number] for number in self.constants], evaluation_of(keys), live
        made = in_one_executable(_together, arguments, (self.steps, self.wanted, count))
        key_id = read[0][0].key_id  # of the call, which has compared it with that of its keys
        blocks = (tuple(block.replace(key_id=key_id) for block in register) for register in made)
        return {self.numbers[place]: register for place, register in zip(self.wanted, blocks, strict=True)}


def _together(
    read: Sequence[Blocks],
    leaves: Constants,
    keys: Keys,
    live: Live | None,
    steps: tuple[Step, ...],
    wanted: tuple[int, ...],
    count: int,
) -> list[Blocks]:
    held = list(read)
    for step in steps:
        sources = [held[place] for place in step.sources]
        held.append(step.run_blocks(sources, [leaves[c] for c in step.constants], keys, live, count))
    return [held[len(read) + place] for place in wanted]


@functools.lru_cache(maxsize=64)
def step_groups(
    steps: tuple[Step, ...], outputs: tuple[int, ...], device: Device, together: bool
) -> tuple[StepGroup, ...]:
    """All steps in groups, arguments first.

    Args:
        steps: of a program.
        outputs: the registers that are its results.
        device: where each launch takes time.
        together: whether several steps may be one executable.
    """
    groups = [StepGroup((number,)) for number, step in enumerate(steps) if isinstance(step, InputStep)]
    blocks, numbers, switches = device.blocks, list[int](), 0

    def close() -> None:
        """Make a group of the steps so far."""
        if numbers:
            groups.append(_group(steps, tuple(numbers), outputs))
            numbers.clear()

    for number, step in enumerate(steps):
        if isinstance(step, InputStep):
            continue
        calls = step.switch_calls(blocks.switched)
        if step.bootstraps or calls > blocks.largest_step:
            close()
            groups.append(StepGroup((number,)))
            continue
        full = switches + calls > blocks.grouped_switches or len(numbers) == blocks.compiled_steps
        if full or not together:
            close()
        switches = calls + (switches if numbers else 0)
        numbers.append(number)
    close()
    return tuple(groups)


def _group(steps: tuple[Step, ...], numbers: tuple[int, ...], outputs: tuple[int, ...]) -> StepGroup:
    """The steps of these numbers, with registers and constants numbered anew."""
    own = set(numbers)
    members = [steps[number] for number in numbers]
    reads = tuple(dict.fromkeys(s for step in members for s in step.sources if s not in own))
    constants = tuple(dict.fromkeys(c for step in members for c in step.constants))
    places = {number: place for place, number in enumerate((*reads, *numbers))}
    renamed = tuple(
        dataclasses.replace(
            step,
            sources=tuple(places[s] for s in step.sources),
            constants=tuple(constants.index(c) for c in step.constants),
            node=-1,
            label="",
        )
        for step in members
    )
    # The last one always, which whoever watches is shown.
    read_later = {s for number, step in enumerate(steps) if number not in own for s in step.sources}
    read_later |= {*outputs, numbers[-1]}
    wanted = tuple(place for place, number in enumerate(numbers) if number in read_later)
    return StepGroup(numbers, reads, constants, renamed, wanted)
