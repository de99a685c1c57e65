"""Pass 4: run the steps of a plan with ckks operations, on pytrees.

Pure: jit, vmap and shard it like any function. A short program runs as one compiled function, a long one as
kernels that are compiled once a shape, so that compiling does not take minutes.
"""

import functools
from collections.abc import Callable, Sequence

import jax

from fhejax import ckks
from fhejax.ckks import Ciphertext, EvaluationKeys
from fhejax.ckks.types import is_concrete
from fhejax.program.circuit.steps import Step
from fhejax.program.run.step_operations import (
    STEP_EXECUTIONS,
    Constants,
    Keys,
    Live,
    StepCall,
    add_terms,
    evaluation_of,
    in_groups,
)

Blocks = tuple[Ciphertext, ...]  # one for each block of samples; one alone serves all blocks
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
        if step.operation == "input":
            registers[number] = _argument(step, arguments)
        else:
            sources = [registers[s] for s in step.sources]
            registers[number] = _run_step(
                step, sources, [leaves[c] for c in step.constants], keys, live, count
            )
            del sources
        if watch is not None:
            watch(number, step, registers[number][0])
        for register in [r for r in registers if last[r] <= number]:
            del registers[register]
    return [registers[o] for o in outputs]


def _argument(step: Step, arguments: Sequence[Blocks | None]) -> Blocks:
    """The blocks of the argument that an input step takes."""
    blocks = arguments[step.argument]
    if blocks is None:
        raise ValueError(f"{step.label} of a program is encrypted, and was given in the clear; encrypt it.")
    return blocks


def _run_step(
    step: Step,
    sources: Sequence[Blocks],
    leaves: Constants,
    keys: Keys,
    live: Live | None,
    count: int,
) -> Blocks:
    """The result of a step in every block, or the sum over all of them."""
    if step.operation in ("slot_sum", "mask"):
        sources = [source * (count // len(source)) for source in sources]
    if step.operation == "slot_sum":
        return (_sum_slots(evaluation_of(keys), functools.reduce(_add, sources[0]), step.count),)
    results = []
    for block in range(max(map(len, sources))):
        operands = [source[block % len(source)] for source in sources]
        mask = None if live is None else live[block]
        results.append(STEP_EXECUTIONS[step.operation](StepCall(step, operands, leaves, keys, mask)))
    return tuple(results)


def _sum_slots(keys: EvaluationKeys, ciphertext: Ciphertext, count: int) -> Ciphertext:
    if is_concrete(ciphertext.data):
        return in_groups(lambda part: ckks.inner_sum(keys, part, count=count), ciphertext)

    def one(data: jax.Array) -> jax.Array:
        return ckks.inner_sum(keys, ciphertext.replace(data=data), count=count).data

    return ciphertext.replace(data=jax.lax.map(one, ciphertext.data))


def _add(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    return x.replace(data=add_terms([x.data, y.data], x.moduli))


def _last_uses(steps: tuple[Step, ...], outputs: tuple[int, ...]) -> list[int]:
    last = list(range(len(steps)))
    for number, step in enumerate(steps):
        for source in step.sources:
            last[source] = number
    for output in outputs:
        last[output] = len(steps)
    return last
