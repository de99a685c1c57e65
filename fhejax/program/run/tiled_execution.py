"""The run of a plan's steps tile by tile, for programs whose values do not fit in memory at once."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.memory_maps import put
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Constants, Keys, StepCall
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.tiles.memory import TileMemory, tile_sizes
from fhejax.program.circuit.tiles.partition import Partition, partitions
from fhejax.program.circuit.tiles.schedule import Task, Tile, remaining, schedule
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.levels.tile_choice import ciphertext_bytes
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.run.finished_results import FinishedResults
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel

Progress = Callable[[int, int], None]
_TOGETHER = 2  # ciphertexts of an elementwise step, which stay in the cache


def run_tiled(
    plan: ProgramPlan,
    circuit: Circuit,
    keys: Keys,
    arguments: Sequence[EncryptedArray | None],
    block: int,
    progress: Progress | None = None,
    finished: FinishedResults | None = None,
    results: Sequence[np.ndarray] | None = None,
) -> list[Ciphertext]:
    """The wanted registers of one block, bit by bit those of `run`.

    Args:
        plan: with tiles.
        circuit: steps and constants of the call.
        keys: evaluation keys.
        arguments: the encrypted ones, whose seeds are expanded tile by tile; None in place of a plain one.
        block: its number.
        progress: told how many tiles are done, of how many.
        finished: tiles of an earlier run, which are not made again, and where those of this one are kept.
        results: arrays in files, uint32 [ciphertext, poly, limb, N], that take the wanted registers tile by
            tile, where these may not be in memory; tiles that have no room there then go to `finished`.
    """
    steps, outputs = circuit.steps, circuit.registers
    constants = [[np.asarray(circuit.leaves[c]) for c in step.constants] for step in steps]
    parts = partitions(steps, constants, plan.tiles)
    every = schedule(steps, constants, parts, outputs)
    known = frozenset() if finished is None else finished.known()
    tasks = remaining(every, outputs, known)
    there = _TilesInFiles(steps, parts, arguments, block, finished, set(known))

    def make(task: Task, held: Mapping[Tile, Ciphertext]) -> dict[Tile, Ciphertext]:
        """The tile of a task, and what it reads that is not held but in files."""
        number, tile = task.tile
        if task.tile in known or isinstance(steps[number], InputStep):
            return {task.tile: there.read(task.tile)}
        brought = {other: there.read(other) for other in task.needs if other not in held}
        made = _made(steps[number], constants[number], keys, parts, task, {**held, **brought})
        if finished is not None:
            finished.keep(jax.block_until_ready(made), number, tile)
        return {task.tile: made, **brought}

    def done(task: Task, count: int) -> None:
        """Forget what another start would not ask for, and tell how much is done."""
        if finished is not None and task.tile[0] in finished.steps:
            known = finished.known()
            for tile in known.difference(task.tile for task in remaining(every, outputs, known)):
                finished.remove(*tile)
        if progress is not None:
            progress(len(every) - len(tasks) + count, len(every))

    sizes = tile_sizes(tasks, parts, [ciphertext_bytes(plan, step) for step in steps])
    memory = TileMemory(tasks, sizes, plan.peak_bytes, outputs, results is not None)
    together = current_device().blocks.tiles
    held = _run_tasks(tasks, make, there.write, memory, len(steps), together, done)
    if results is None:
        return [_joined(held, output, parts[output]) for output in outputs]
    return [there.whole(output, held, result) for output, result in zip(outputs, results, strict=True)]


@dataclasses.dataclass(frozen=True)
class _TilesInFiles:
    """The tiles of one block that are in files: those of arguments, and of results that are kept.

    Attributes:
        steps: of the circuit.
        parts: the partition of each step's result.
        arguments: the encrypted ones.
        block: its number.
        finished: where results are kept.
        written: tiles that are kept there already.
    """

    steps: Sequence[Step]
    parts: Sequence[Partition]
    arguments: Sequence[EncryptedArray | None]
    block: int
    finished: FinishedResults | None
    written: set[Tile]

    def read(self, tile: Tile) -> Ciphertext:
        """A tile that was written, or one of an argument."""
        number, part = tile
        step = self.steps[number]
        if isinstance(step, InputStep):
            argument = self.arguments[step.argument]
            assert argument is not None  # of an encrypted argument
            return argument.chosen(self.block, self.parts[number].tiles[part])
        assert self.finished is not None  # where it was written
        return self.finished.read(number, part)

    def write(self, tile: Tile, value: Ciphertext) -> None:
        """Write a tile, if it is in no file yet."""
        assert self.finished is not None  # else no tile leaves memory
        number, part = tile
        there = isinstance(self.steps[number], InputStep) or number in self.finished.steps
        if not there and tile not in self.written:
            self.finished.write(value, number, part)
            self.written.add(tile)

    def whole(self, number: int, held: Mapping[Tile, Ciphertext], result: np.ndarray) -> Ciphertext:
        """The whole register in an array of a file, which takes tile after tile."""
        found = None
        for part, entries in enumerate(self.parts[number].tiles):
            found = held[number, part] if (number, part) in held else self.read((number, part))
            put(result, entries, np.asarray(found.data))
        assert found is not None  # a register has a tile
        return found.replace(data=result)


def _run_tasks(
    tasks: Sequence[Task],
    make: Callable[[Task, Mapping[Tile, Ciphertext]], dict[Tile, Ciphertext]],
    put_away: Callable[[Tile, Ciphertext], None],
    memory: TileMemory,
    ahead: int,
    together: int,
    done: Callable[[Task, int], None],
) -> dict[Tile, Ciphertext]:
    """The tiles that are in memory after all tasks.

    XLA runs what is inside of a loop on one core of a CPU, so several tasks run at once, each in a thread of
    its own: the first ones in order whose tiles are there, and for whose own there is room.

    Args:
        tasks: in order.
        make: the tile of a task, from those that are held, and what it read from files.
        put_away: takes a tile that leaves memory, and will be read again.
        memory: which tiles are held.
        ahead: how far behind the first task that has not begun others may begin.
        together: tasks that may run at once.
        done: told of each task that is done, and how many are.
    """
    held: dict[Tile, Ciphertext] = {}
    waiting = list(tasks)
    running: dict[Future[dict[Tile, Ciphertext]], Task] = {}
    with ThreadPoolExecutor(together) as pool:
        while waiting or running:
            while len(running) < together and (begun := _begun(waiting[:ahead], memory)):
                task, leaving = begun
                for tile in leaving:
                    put_away(tile, held.pop(tile))
                waiting.remove(task)
                read = {tile: held[tile] for tile in task.needs if tile in held}
                running[pool.submit(_finished, make, task, read)] = task
                del read  # which would keep its tiles
            ended = wait(running, return_when=FIRST_COMPLETED).done
            while ended:
                future = ended.pop()
                task = running.pop(future)
                held.update(future.result())
                del future  # which would keep its tile
                for tile in memory.end(task):
                    del held[tile]
                done(task, len(tasks) - len(waiting) - len(running))
    return held


def _begun(waiting: Sequence[Task], memory: TileMemory) -> tuple[Task, tuple[Tile, ...]] | None:
    """The first task that may begin, with the tiles that leave memory for it; or none."""
    for task in waiting:
        leaving = memory.begin(task)
        if leaving is not None:
            return task, leaving
    return None


def _finished(
    make: Callable[[Task, Mapping[Tile, Ciphertext]], dict[Tile, Ciphertext]],
    task: Task,
    held: Mapping[Tile, Ciphertext],
) -> dict[Tile, Ciphertext]:
    """The tile of a task once it is computed: else memory would be taken ahead of its time."""
    return jax.block_until_ready(make(task, held))


def _made(
    step: Step,
    constants: Sequence[np.ndarray],
    keys: Keys,
    parts: Sequence[Partition],
    task: Task,
    held: Mapping[Tile, Ciphertext],
) -> Ciphertext:
    """The tile of a task."""
    number, tile = task.tile
    entries, source = parts[number].tiles[tile], step.sources[0]
    part, numbers = step.part(constants, entries, parts[source].places(_numbers(task.reads[0])))
    leaves = tuple(map(jnp.asarray, numbers))
    read = [[held[tile] for tile in tiles] for tiles in task.reads]
    if step.elementwise:
        triples = zip(step.sources, task.reads, read, strict=True)
        sources = [_rows(found, parts[s].places(_numbers(tiles))[entries]) for s, tiles, found in triples]
        return _elementwise(part, leaves, keys, sources)
    if len(step.sources) == 1:
        return _whole(part, leaves, keys, read[0])
    return _whole(part, leaves, keys, [_joined(held, s, parts[s]) for s in step.sources])


def _numbers(tiles: Sequence[Tile]) -> list[int]:
    """The numbers of tiles in their partition."""
    return [number for _, number in tiles]


def _rows(tiles: Sequence[Ciphertext], rows: np.ndarray) -> Ciphertext:
    """Some ciphertexts of tiles, one after the other; all of one tile as they are."""
    if len(tiles) == 1 and np.array_equal(rows, np.arange(len(tiles[0].data))):
        return tiles[0]
    return tiles[0].replace(data=jnp.concatenate([t.data for t in tiles])[rows.astype(np.int32)])


def _joined(held: Mapping[Tile, Ciphertext], number: int, part: Partition) -> Ciphertext:
    """The whole register, its entries in order."""
    tiles = [held[number, tile] for tile in range(len(part.tiles))]
    return _rows(tiles, np.argsort(part.order))


@functools.partial(kernel, static_argnames="step")
def _whole(step: Step, leaves: Constants, keys: Keys, tiles: Sequence[Ciphertext]) -> Ciphertext:
    """The result of a step that reads all of its sources, or tiles of its only one."""
    return step.run(StepCall(tiles, leaves, keys, None))


@functools.partial(kernel, static_argnames="step")
def _elementwise(step: Step, leaves: Constants, keys: Keys, sources: Sequence[Ciphertext]) -> Ciphertext:
    """The result of an elementwise step, a few ciphertexts after the other."""
    size = math.gcd(step.size, _TOGETHER)

    def grouped(array: jax.Array) -> jax.Array:
        return array.reshape(-1, size, *array.shape[1:])

    own = [len(leaf) == step.size for leaf in leaves]
    moving = [grouped(jnp.asarray(leaf)) for leaf, mapped in zip(leaves, own, strict=True) if mapped]

    def some(group: tuple[list[jax.Array], list[jax.Array]]) -> Ciphertext:
        """The result of one group of ciphertexts, with the constants that belong to them."""
        data, moved = group
        rest = iter(moved)
        constants = [next(rest) if mapped else leaf for leaf, mapped in zip(leaves, own, strict=True)]
        read = [source.replace(data=part) for source, part in zip(sources, data, strict=True)]
        return step.run(StepCall(read, constants, keys, None))

    made = jax.lax.map(some, ([grouped(source.data) for source in sources], moving))
    return made.replace(data=made.data.reshape(-1, *made.data.shape[2:]), key_id=sources[0].key_id)
