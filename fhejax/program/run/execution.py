"""The run of a plan's steps with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. A short program runs as one compiled function, a long one as
kernels that are compiled once a shape, so that compiling does not take minutes.
"""

from collections.abc import Callable, Sequence

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Blocks, Constants, Keys, Live
from fhejax.program.circuit.steps.step import Step

Watch = Callable[[int, Step, Ciphertext], None]


def run(
    steps: tuple[Step, ...],
    leaves: Constants,
    keys: Keys,
    arguments: Sequence[Blocks | None],
    outputs: tuple[int, ...],
    live: Live | None = None,
    watch: Watch | None = None,
) -> list[Blocks]:
    """The blocks of every wanted register after running steps on the blocks of the arguments.

    Blocks do not meet until slots are summed. What all samples share is one block, computed once. A
    register is forgotten after its last use, so that memory follows the widest layer.

    Args:
        steps: in order.
        leaves: constants of the steps.
        keys: evaluation keys.
        arguments: the blocks of each encrypted argument.
        outputs: the registers wanted.
        live: [block, slot], one where a slot holds a sample and else zero; for masks.
        watch: sees the first block of every register as it is made.
    """
    last = _last_uses(steps, outputs)
    count = max(len(a) for a in arguments if a is not None)
    registers: dict[int, Blocks] = {}
    for number, step in enumerate(steps):
        if isinstance(step, InputStep):
            registers[number] = _argument(step, arguments)
        else:
            sources = [registers[s] for s in step.sources]
            registers[number] = step.run_blocks(
                sources, [leaves[c] for c in step.constants], keys, live, count
            )
            del sources
        if watch is not None:
            watch(number, step, registers[number][0])
        for register in [r for r in registers if last[r] <= number]:
            del registers[register]
    return [registers[o] for o in outputs]


def _argument(step: InputStep, arguments: Sequence[Blocks | None]) -> Blocks:
    """The blocks of the argument that an input step takes."""
    blocks = arguments[step.argument]
    if blocks is None:
        raise ValueError(f"{step.label} of a program is encrypted, and was given in the clear; encrypt it.")
    return blocks


def _last_uses(steps: tuple[Step, ...], outputs: tuple[int, ...]) -> list[int]:
    last = list(range(len(steps)))
    for number, step in enumerate(steps):
        for source in step.sources:
            last[source] = number
    for output in outputs:
        last[output] = len(steps)
    return last
