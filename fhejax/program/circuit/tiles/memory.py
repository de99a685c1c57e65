"""Which tiles are in memory while a circuit is computed, and which leave it for files where there is no room.

The order of tasks is known, so the tile that leaves is the one that is read last of all (Belady, "A study of
replacement algorithms for a virtual-storage computer", 1966). One that no task will read, being a part of a
result, leaves first.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from fhejax.program.circuit.tiles.partition import Partition
from fhejax.program.circuit.tiles.schedule import Task, Tile


class TileMemory:
    """The places of tiles that were made and will be read.

    Attributes:
        held: those in memory.
        away: those in files alone.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        sizes: Mapping[Tile, int],
        room: int,
        kept: Collection[int],
        uses_files: bool,
    ) -> None:
        """Nothing is made yet.

        Args:
            tasks: all, in order.
            sizes: the bytes of each tile.
            room: the bytes that tiles may take.
            kept: registers whose tiles are not forgotten after their last use.
            uses_files: whether tiles may leave memory.
        """
        self.held: set[Tile] = set()
        self.away: set[Tile] = set()
        self._sizes, self._room, self._kept, self._uses_files = sizes, room, frozenset(kept), uses_files
        self._numbers = {task.tile: number for number, task in enumerate(tasks)}
        self._readers: dict[Tile, list[int]] = defaultdict(list)
        for number, task in enumerate(tasks):
            for tile in task.needs:
                self._readers[tile].append(number)
        self._running: dict[Tile, tuple[Task, frozenset[Tile]]] = {}

    def begin(self, task: Task) -> tuple[Tile, ...] | None:
        """Begin a task, if what it reads was made and there is room for that and for its own tile.

        A task that runs alone has room.

        Returns:
            The tiles that have to leave memory before it begins; None where it may not begin.
        """
        if not all(tile in self.held or tile in self.away for tile in task.needs):
            return None
        brought = task.needs - self.held
        wanted = self._bytes(brought) + self._sizes[task.tile]
        taken = self._bytes(self.held) + sum(
            self._bytes(others) + self._sizes[tile] for tile, (_, others) in self._running.items()
        )
        leaving, lacking = self._leaving(task, taken + wanted - self._room)
        if lacking > 0 and self._running:
            return None
        self.held.difference_update(leaving)
        self.away.update(leaving)
        self._running[task.tile] = task, brought
        return leaving

    def end(self, task: Task) -> tuple[Tile, ...]:
        """End a task: its tile is in memory, and what it brought from files too.

        Returns:
            The tiles that nothing will read any more.
        """
        _, brought = self._running.pop(task.tile)
        self.held.update(brought, [task.tile])
        self.away.difference_update(brought)
        for tile in task.needs:
            self._readers[tile].remove(self._numbers[task.tile])
        done = tuple(tile for tile in task.needs if not self._readers[tile] and tile[0] not in self._kept)
        self.held.difference_update(done)
        self.away.difference_update(done)
        return done

    def _leaving(self, task: Task, lacking: int) -> tuple[tuple[Tile, ...], int]:
        """The tiles that leave memory for a task, and the bytes that are lacking even so."""
        pinned = task.needs.union(*(other.needs for other, _ in self._running.values()))
        leaving: list[Tile] = []
        if self._uses_files and lacking > 0:
            for tile in sorted(self.held - pinned, key=lambda tile: (-self._next_use(tile), tile)):
                leaving.append(tile)
                lacking -= self._sizes[tile]
                if lacking <= 0:
                    break
        return tuple(leaving), lacking

    def _next_use(self, tile: Tile) -> float:
        """The number of the first task to end that reads a tile."""
        return next(iter(self._readers[tile]), math.inf)

    def _bytes(self, tiles: Iterable[Tile]) -> int:
        return sum(self._sizes[tile] for tile in tiles)


def tile_sizes(tasks: Sequence[Task], parts: Sequence[Partition], widths: Sequence[int]) -> dict[Tile, int]:
    """The bytes of each tile.

    Args:
        tasks: that make them.
        parts: the partition of each step's result.
        widths: bytes of one ciphertext of each step's result.
    """
    return {
        (number, tile): len(parts[number].tiles[tile]) * widths[number]
        for number, tile in (task.tile for task in tasks)
    }


def largest_task_bytes(tasks: Sequence[Task], sizes: Mapping[Tile, int]) -> int:
    """The most bytes that any task reads and makes: no less memory will do.

    Args:
        tasks: all.
        sizes: the bytes of each tile.
    """
    return max(sizes[task.tile] + sum(sizes[tile] for tile in task.needs) for task in tasks)


def moved_bytes(
    tasks: Sequence[Task],
    sizes: Mapping[Tile, int],
    room: int,
    kept: Collection[int],
    arguments: Collection[int],
) -> int:
    """The bytes that are written to files and read from them, if tasks run one after the other.

    Args:
        tasks: in order.
        sizes: the bytes of each tile.
        room: the bytes that tiles may take.
        kept: registers whose tiles are not forgotten after their last use.
        arguments: registers that lie in files already.
    """
    memory = TileMemory(tasks, sizes, room, kept, True)
    written: set[Tile] = set()
    read = 0
    for task in tasks:
        written.update(memory.begin(task) or ())
        read += sum(sizes[tile] for tile in task.needs & memory.away)
        memory.end(task)
    return read + sum(sizes[tile] for tile in written if tile[0] not in arguments)
