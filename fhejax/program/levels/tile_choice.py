"""The choice of tiles: as few as keep a program's values within the memory that it may take."""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np

from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.tiles.memory import largest_task_bytes, moved_bytes, tile_sizes
from fhejax.program.circuit.tiles.partition import partitions
from fhejax.program.circuit.tiles.schedule import Task, Tile, peak_bytes, schedule
from fhejax.program.levels.plan import ProgramPlan

_SHARE = 2 / 3  # of a device's memory, where a program is not told how much it may take
_RESIDUE = 4  # bytes
_MOST = 1024  # tiles of the widest step; smaller ones save nothing
_NUMBERS = tuple(2**k for k in range(1, _MOST.bit_length()))  # of tiles that are tried
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
        memory_map: whether the arguments of a call in tiles stay in files, and tiles and results that have no
            room in memory.

    Raises:
        ValueError: where no tiles are small enough for the memory that there is.
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
    cuts = _Cuts(plan, [[np.asarray(leaves[c]) for c in step.constants] for step in plan.steps])
    whole = cuts.peak(1, 0)
    if whole <= room - argument_bytes(plan):
        return dataclasses.replace(plan, peak_bytes=whole)
    plan = dataclasses.replace(plan, memory_map=memory_map)
    room -= argument_bytes(plan)
    together = plan.device.blocks.tiles
    # Without tiles all is read from files at once.
    best: tuple[float, int] = (math.inf if memory_map else whole, 1)
    # Of two tasks at once one waits now and then where only one tile can be made ahead, and never with two.
    for ahead in (together, together - 1) if together > 1 else (0,):
        for tiles in _NUMBERS:
            if best[0] > room:
                best = min(best, (cuts.peak(tiles, ahead), tiles))
    if best[0] > room and memory_map and (found := _with_files(plan, cuts, room)):
        return found
    if best[0] > room and memory is not None:
        least = min(map(cuts.largest_task, _NUMBERS)) if memory_map else best[0]
        advice = "" if memory_map else "; or memory_map=True, by which tiles may be in files"
        raise ValueError(
            f"memory={memory:.3g} bytes were allowed, and a call takes "
            f"{least + argument_bytes(plan) + process_bytes(plan):.3g} at least, its arguments included, in "
            f"the smallest tiles; allow more, or compile for fewer samples{advice}."
        )
    counts = () if best[1] == 1 else cuts.counts(best[1])
    return dataclasses.replace(plan, tiles=counts, peak_bytes=int(best[0]))


def _with_files(plan: ProgramPlan, cuts: "_Cuts", room: float) -> ProgramPlan | None:
    """The plan in tiles of which those that have no room go to files: as few bytes of them as can be.

    Args:
        plan: whose arguments stay in files.
        cuts: of its steps' results.
        room: bytes that tiles may take.

    Returns:
        The plan, or None where a single task takes more.
    """
    arguments = [number for number, step in enumerate(plan.steps) if isinstance(step, InputStep)]
    for together in range(max(1, plan.device.blocks.tiles), 0, -1):  # tasks that may run at once
        fitting = [tiles for tiles in _NUMBERS if together * cuts.largest_task(tiles) <= room]
        moved = [
            (moved_bytes(*cuts.tasks_and_sizes(tiles), int(room), plan.outputs, arguments), tiles)
            for tiles in fitting
        ]
        if moved:
            least, tiles = min(moved)
            found = {"tiles": cuts.counts(tiles), "moved_bytes": max(1, least)}
            return dataclasses.replace(plan, peak_bytes=int(room), **found)
    return None


class _Cuts:
    """The results of a plan's steps in tiles, more or fewer of them, each kind worked out once."""

    def __init__(self, plan: ProgramPlan, constants: Sequence[Sequence[np.ndarray]]) -> None:
        """The cuts of a plan's steps, which have these constants; none is worked out yet."""
        self._steps, self._outputs, self._constants = plan.steps, plan.outputs, constants
        self._widths = [ciphertext_bytes(plan, step) for step in plan.steps]
        self._sizes = [step.size * width for step, width in zip(plan.steps, self._widths, strict=True)]
        self._known: dict[int, tuple[tuple[Task, ...], dict[Tile, int]]] = {}

    def counts(self, tiles: int) -> tuple[int, ...]:
        """The tiles of each step where the widest one has so many."""
        return tuple(_count(size, max(self._sizes) / tiles) for size in self._sizes)

    def tasks_and_sizes(self, tiles: int) -> tuple[tuple[Task, ...], dict[Tile, int]]:
        """The tasks in order, and the bytes of each tile."""
        if tiles not in self._known:
            parts = partitions(self._steps, self._constants, self.counts(tiles))
            tasks = schedule(self._steps, self._constants, parts, self._outputs)
            self._known[tiles] = tasks, tile_sizes(tasks, parts, self._widths)
        return self._known[tiles]

    def largest_task(self, tiles: int) -> int:
        """The most bytes that a task reads and makes."""
        return largest_task_bytes(*self.tasks_and_sizes(tiles))

    def peak(self, tiles: int, ahead: int) -> int:
        """The largest number of bytes that tiles hold at once, some of them made ahead of the order."""
        return peak_bytes(*self.tasks_and_sizes(tiles), ahead)


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


def _count(size: float, limit: float) -> int:
    """The least power of two of tiles that are no larger than the limit."""
    count = 1
    while size > limit * count:
        count *= 2
    return count
