"""The run of a plan's steps with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. A short program runs as one compiled function, a long one as
kernels that are compiled once a shape, so that compiling does not take minutes.
"""

import functools
from collections.abc import Callable, Sequence

import jax.numpy as jnp

from fhejax.ckks import Ciphertext
from fhejax.ckks.operation import calls_kernels
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Blocks, Constants, Keys, Live
from fhejax.program.circuit.steps.step import Step
from fhejax.program.run.execution_order import execution_order
from fhejax.program.run.finished_results import FinishedResults
from fhejax.program.run.step_groups import StepGroup, step_groups
from fhejax.ring.platform import current_device

Watch = Callable[[int, Step, Ciphertext], None]
Argument = Callable[[], Blocks]


def run(
    steps: tuple[Step, ...],
    leaves: Constants,
    keys: Keys,
    arguments: Sequence[Argument | None],
    count: int,
    outputs: tuple[int, ...],
    live: Live | None = None,
    watch: Watch | None = None,
    finished: FinishedResults | None = None,
) -> list[Blocks]:
    """The blocks of every wanted register after running steps on the blocks of the arguments.

    Blocks do not meet until slots are summed. What all samples share is one block, computed once. A
    register is forgotten after its last use, so that memory follows the widest layer (`execution_order`).

    Args:
        steps: in order.
        leaves: constants of the steps.
        keys: evaluation keys.
        arguments: what makes the blocks of each encrypted argument.
        count: blocks of the batch.
        outputs: the registers wanted.
        live: [block, slot], one where a slot holds a sample and else zero; for masks.
        watch: sees the first block of every register as it is made, and how many were before it.
        finished: registers of an earlier run, which are not made again, and where those of this one are kept.
    """
    known = frozenset() if finished is None else _registers_there(finished)
    if current_device().launches_slowly:
        arguments = _expanded(arguments)
    groups = _groups(steps, outputs, arguments, together=watch is None and finished is None)
    last = _last_uses(steps, groups, outputs)
    asked = range(len(steps)) if finished is None else _asked(steps, outputs, known)
    registers: dict[int, Blocks] = {}
    for place, group in enumerate(groups):
        number = group.numbers[-1]
        step = steps[number]
        if number not in asked:
            continue
        if finished is not None and number in known:
            joined = finished.read(number)
            registers[number] = tuple(joined.replace(data=data) for data in joined.data)
        elif isinstance(step, InputStep):
            registers[number] = _argument(step, arguments)
        elif group.steps:
            registers |= group.run(registers, leaves, keys, live, count)
        else:
            sources = [registers[s] for s in step.sources]
            registers[number] = step.run_blocks(
                sources, [leaves[c] for c in step.constants], keys, live, count
            )
            del sources
        fresh = number not in known and not isinstance(step, InputStep)
        if finished is not None and fresh and number in finished.steps:
            _keep(finished, number, registers[number], steps, outputs)
        if watch is not None:
            watch(place, step, registers[number][0])
        for register in [r for r in registers if last[r] <= place]:
            del registers[register]
    return [registers[o] for o in outputs]


def _expanded(arguments: Sequence[Argument | None]) -> list[Argument | None]:
    """The arguments, expanded at once: one is looked at before the steps are grouped."""
    made = [None if argument is None else argument() for argument in arguments]
    return [None if blocks is None else functools.partial(tuple, blocks) for blocks in made]


def _groups(
    steps: tuple[Step, ...], outputs: tuple[int, ...], arguments: Sequence[Argument | None], *, together: bool
) -> Sequence[StepGroup]:
    """The steps in the order of the run: in executables where launching takes time, and nobody traces them.

    `together`: whether several steps may be one executable.
    """
    device = current_device()
    if device.launches_slowly and calls_kernels(next(a for a in arguments if a is not None)()[0]):
        return step_groups(steps, outputs, device, together)
    return [StepGroup((number,)) for number in execution_order(steps, outputs)]


def _keep(
    finished: FinishedResults, number: int, made: Blocks, steps: Sequence[Step], outputs: Sequence[int]
) -> None:
    """Keep a register, and forget those that another start would not ask for."""
    finished.keep(made[0].replace(data=jnp.stack([block.data for block in made])), number)
    there = _registers_there(finished)
    for other in there.difference(_asked(steps, outputs, there)):
        finished.remove(other)


def _argument(step: InputStep, arguments: Sequence[Argument | None]) -> Blocks:
    """The blocks of the argument that an input step takes."""
    argument = arguments[step.argument]
    if argument is None:
        raise ValueError(f"{step.label} of a program is encrypted, and was given in the clear; encrypt it.")
    return argument()


def _registers_there(finished: FinishedResults) -> frozenset[int]:
    return frozenset(number for number, _ in finished.known())


def _asked(steps: Sequence[Step], outputs: Sequence[int], known: frozenset[int]) -> set[int]:
    """The registers that are read on the way to the wanted ones, where some are known."""
    asked = set(outputs)
    for number in reversed(range(len(steps))):
        if number in asked and number not in known:
            asked.update(steps[number].sources)
    return asked


def _last_uses(steps: Sequence[Step], groups: Sequence[StepGroup], outputs: Sequence[int]) -> dict[int, int]:
    """The place among the groups at which each register is read for the last time."""
    last = {}
    for place, group in enumerate(groups):
        for number in group.numbers:
            last |= dict.fromkeys((number, *steps[number].sources), place)
    return last | dict.fromkeys(outputs, len(groups))
