"""The run of a plan's steps with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. A short program runs as one compiled function, a long one as
kernels that are compiled once a shape, so that compiling does not take minutes.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Blocks, Constants, Keys, Live
from fhejax.program.circuit.steps.step import Step
from fhejax.program.run.execution_order import execution_order
from fhejax.program.run.finished_results import FinishedResults

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
    order = execution_order(steps, outputs)
    last = _last_uses(steps, order, outputs)
    asked = set(order) if finished is None else _asked(steps, outputs, known)
    registers: dict[int, Blocks] = {}
    for place, number in enumerate(order):
        if number not in asked:
            continue
        step = steps[number]
        if finished is not None and number in known:
            joined = finished.read(number)
            registers[number] = tuple(joined.replace(data=data) for data in joined.data)
        elif isinstance(step, InputStep):
            registers[number] = _argument(step, arguments)
        else:
            sources = [registers[s] for s in step.sources]
            registers[number] = step.run_blocks(
                sources, [leaves[c] for c in step.constants], keys, live, count
            )
            del sources
            if finished is not None and number in finished.steps:
                joined = registers[number][0].replace(data=jnp.stack([b.data for b in registers[number]]))
                finished.keep(joined, number)
                there = _registers_there(finished)
                for other in there.difference(_asked(steps, outputs, there)):
                    finished.remove(other)
        if watch is not None:
            watch(place, step, registers[number][0])
        for register in [r for r in registers if last[r] <= place]:
            del registers[register]
    return [registers[o] for o in outputs]


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


def _last_uses(steps: Sequence[Step], order: Sequence[int], outputs: Sequence[int]) -> dict[int, int]:
    """The place in the order at which each register is read for the last time."""
    last = {}
    for place, number in enumerate(order):
        last |= dict.fromkeys((number, *steps[number].sources), place)
    return last | dict.fromkeys(outputs, len(order))
