"""The choice of tiles: as few as keep a program's values within the memory that it may take."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np

from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.tiles.partition import partitions
from fhejax.program.circuit.tiles.schedule import peak_bytes, schedule
from fhejax.program.levels.plan import ProgramPlan

_SHARE = 2 / 3  # of a device's memory, where a program is not told how much it may take
_RESIDUE = 4  # bytes
_MOST = 1024  # tiles of the widest step; smaller ones save nothing
_PROCESS = 1.1e9  # bytes of Python, JAX and what planning left behind


def in_memory(
    plan: ProgramPlan, leaves: Sequence[jax.Array], memory: float | None, memory_map: bool = False
) -> ProgramPlan:
    """The plan with tiles, if its values would not fit in memory otherwise.

    Programs whose slots meet are not cut: all of their blocks are in memory together.

    Args:
        plan: without tiles.
        leaves: constants of its steps.
        memory: bytes that a call may take, its arguments included; by default two thirds of the device's.
        memory_map: whether the arguments of a call in tiles stay in files.

    Raises:
        ValueError: where no tiles are small enough for the memory that was asked for.
    """
    if holds_much(plan) and memory is not None and predicted_memory(plan) > memory:
        raise ValueError(
            f"memory={memory:.3g} bytes were allowed, and a call takes {predicted_memory(plan):.3g}, its "
            f"keys included; packing='planes' computes no parts of layers yet: allow more, or choose another "
            f"packing."
        )
    if not can_be_cut(plan):
        return plan
    room = (_SHARE * plan.device.memory if memory is None else memory) - process_bytes(plan)
    constants = [[np.asarray(leaves[c]) for c in step.constants] for step in plan.steps]
    widths = [ciphertext_bytes(plan, step) for step in plan.steps]
    whole = _peak(plan, constants, widths, [1] * len(plan.steps), 0)
    if whole <= room - argument_bytes(plan):
        return dataclasses.replace(plan, peak_bytes=whole)
    plan = dataclasses.replace(plan, memory_map=memory_map)
    room -= argument_bytes(plan)
    sizes = [step.size * width for step, width in zip(plan.steps, widths, strict=True)]
    together = plan.device.blocks.tiles
    best, tiles = (math.inf if memory_map else whole, ()), 2  # without tiles all is read from files at once
    # Of two tasks at once one waits now and then where only one tile can be made ahead, and never with two.
    for ahead in (together, together - 1) if together > 1 else (0,):
        while best[0] > room and tiles <= _MOST:
            counts = [_count(size, max(sizes) / tiles) for size in sizes]
            best = min(best, (_peak(plan, constants, widths, counts, ahead), tuple(counts)))
            tiles *= 2
        tiles = 2
    if best[0] > room and memory is not None:
        least = best[0] + argument_bytes(plan) + process_bytes(plan)
        raise ValueError(
            f"memory={memory:.3g} bytes were allowed, and a call takes {least:.3g} at least, its arguments "
            f"included, in the smallest tiles; allow more, or compile for fewer samples."
        )
    return dataclasses.replace(plan, tiles=best[1], peak_bytes=best[0])


def predicted_memory(plan: ProgramPlan) -> float:
    """The bytes of a process that calls the program once: values, arguments, Python and what JAX compiled."""
    if holds_much(plan):
        return values_at_once(plan) + plan.key_manifest.bytes(plan.params).memory + process_bytes(plan)
    return plan.peak_bytes + argument_bytes(plan) + process_bytes(plan)


def process_bytes(plan: ProgramPlan) -> float:
    """The bytes of a process that calls a program, beside its numbers: Python, JAX, the kernels of steps."""
    return _PROCESS + sum(step.compiled_bytes for step in plan.steps)


def holds_much(plan: ProgramPlan) -> bool:
    """Whether steps take memory of their own that values and arguments say nothing of."""
    return any(_working_bytes(plan, step) for step in plan.steps)


def values_at_once(plan: ProgramPlan) -> int:
    """The bytes of a block's values in memory at once, with those of the step that makes one of them."""
    last = {s: n for n, step in enumerate(plan.steps) for s in step.sources}
    held, peak = 0, 0
    sizes = [step.size * ciphertext_bytes(plan, step) for step in plan.steps]
    for number, step in enumerate(plan.steps):
        held += sizes[number]
        peak = max(peak, held + _working_bytes(plan, step))
        held -= sum(sizes[source] for source in set(step.sources) if last[source] == number)
    return peak


def _working_bytes(plan: ProgramPlan, step: Step) -> int:
    level = int(plan.steps[step.sources[0]].level) if step.sources else 0
    params = plan.params
    return step.working_bytes(len(params.level_moduli(level)), len(params.special), params.ring.degree)


def can_be_cut(plan: ProgramPlan) -> bool:
    """Whether values may be computed tile by tile: no block meets another, and nothing rotates."""
    return not (plan.sums_slots or plan.rotations or plan.layouts or plan.bootstrapping is not None)


def argument_bytes(plan: ProgramPlan) -> int:
    """The bytes of all arguments as they are encrypted, with seeds; none where they stay in files."""
    if plan.memory_map:
        return 0
    inputs = [step for step in plan.steps if isinstance(step, InputStep)]
    return plan.blocks * sum(step.size * ciphertext_bytes(plan, step) // step.components for step in inputs)


def ciphertext_bytes(plan: ProgramPlan, step: Step) -> int:
    """The bytes of one ciphertext of a step's result."""
    limbs = len(plan.params.level_moduli(int(step.level)))
    return step.components * limbs * plan.params.ring.degree * _RESIDUE


def _peak(
    plan: ProgramPlan,
    constants: Sequence[Sequence[np.ndarray]],
    widths: Sequence[int],
    counts: Sequence[int],
    ahead: int,
) -> int:
    """The largest number of bytes that so many tiles hold at once, some of them made ahead of the order."""
    parts = partitions(plan.steps, constants, counts)
    tasks = schedule(plan.steps, constants, parts, plan.outputs)
    return peak_bytes(tasks, parts, widths, ahead)


def _count(size: float, limit: float) -> int:
    """The least power of two of tiles that are no larger than the limit."""
    count = 1
    while size > limit * count:
        count *= 2
    return count
