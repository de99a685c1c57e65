"""The order in which the tiles of a circuit are made: depth first, each once, kept until its last use.

A tile of a result asks for the tiles that it reads, these for those that they read. What a later tile will
read again, such as the rows above and below a row of a convolution, stays in memory; the rest is forgotten at
once. So memory follows a few rows of each layer, and nothing is computed twice.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.tiles.partition import Partition

Tile = tuple[int, int]  # the step, and the number of the tile in its partition


@dataclasses.dataclass(frozen=True)
class Task:
    """The making of one tile.

    Attributes:
        tile: which.
        reads: the tiles that are read, for each source of the step.
    """

    tile: Tile
    reads: tuple[tuple[Tile, ...], ...]

    @property
    def needs(self) -> frozenset[Tile]:
        """All tiles that are read."""
        return frozenset(itertools.chain.from_iterable(self.reads))


def schedule(
    steps: Sequence[Step],
    constants: Sequence[Sequence[np.ndarray]],
    parts: Sequence[Partition],
    outputs: Sequence[int],
) -> tuple[Task, ...]:
    """The tasks that make all tiles of the wanted registers, in order.

    Args:
        steps: in order.
        constants: of each step.
        parts: the partition of each step's result.
        outputs: the registers wanted, whose tiles are all kept.
    """
    reads: dict[Tile, tuple[tuple[Tile, ...], ...]] = {}

    def visit(tile: Tile) -> None:
        """Note what a tile reads, and what that reads."""
        if tile in reads:
            return
        number, part = tile
        step = steps[number]
        needed = step.entries_read(constants[number], parts[number].tiles[part])
        pairs = zip(step.sources, needed, strict=True)
        found = tuple(tuple((s, other) for other in parts[s].naming(entries)) for s, entries in pairs)
        for other in itertools.chain.from_iterable(found):
            visit(other)
        reads[tile] = found

    for output in outputs:
        for part in range(len(parts[output].tiles)):
            visit((output, part))
    return tuple(Task(tile, found) for tile, found in reads.items())


def remaining(tasks: Sequence[Task], outputs: Collection[int], known: Collection[Tile]) -> tuple[Task, ...]:
    """The tasks that are left where some tiles are there already, which then read none.

    Args:
        tasks: all, in order.
        outputs: the registers wanted.
        known: tiles that are there.
    """
    left: list[Task] = []
    wanted: set[Tile] = set()
    for task in reversed(tasks):
        if task.tile[0] in outputs or task.tile in wanted:
            left.append(Task(task.tile, ()) if task.tile in known else task)
            wanted |= left[-1].needs
    return tuple(reversed(left))


def uses(tasks: Sequence[Task]) -> Counter[Tile]:
    """The number of tasks that read each tile."""
    return Counter(itertools.chain.from_iterable(task.needs for task in tasks))


def peak_bytes(tasks: Sequence[Task], sizes: Mapping[Tile, int], ahead: int) -> int:
    """The largest number of bytes that tiles hold.

    Args:
        tasks: in order.
        sizes: the bytes of each tile.
        ahead: how many of the largest tile may be made ahead of the order, where several tasks run at once.
    """
    left, held, peak, largest = uses(tasks), 0, 0, 0
    for task in tasks:
        held += sizes[task.tile]
        peak, largest = max(peak, held), max(largest, sizes[task.tile])
        left.subtract(task.needs)
        held -= sum(sizes[tile] for tile in task.needs if not left[tile])
    return peak + ahead * largest
