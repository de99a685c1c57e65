"""The run of a plan's steps tile by tile, for programs whose values do not fit in memory at once."""

import dataclasses
import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.circuit import Circuit
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.steps.call import Constants, Keys, StepCall
from fhejax.program.circuit.steps.step import Step
from fhejax.program.circuit.tiles.partition import Partition, partitions
from fhejax.program.circuit.tiles.schedule import Task, Tile, schedule, uses
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
) -> list[tuple[Ciphertext, ...]]:
    """The wanted registers of one block, bit by bit those of `run`.

    Args:
        plan: with tiles.
        circuit: steps and constants of the call.
        keys: evaluation keys.
        arguments: the encrypted ones, whose seeds are expanded tile by tile; None in place of a plain one.
        block: its number.
        progress: told how many tiles are done, of how many.
        finished: tiles of an earlier run, which are not made again, and where those of this one are kept.
    """
    steps, outputs = circuit.steps, circuit.registers
    constants = [[np.asarray(circuit.leaves[c]) for c in step.constants] for step in steps]
    parts = partitions(steps, constants, plan.tiles)
    asked = functools.partial(schedule, steps, constants, parts, outputs)
    known = frozenset() if finished is None else finished.known()
    tasks, total = asked(known), len(asked()) if known else 0

    def make(task: Task, held: Mapping[Tile, Ciphertext]) -> Ciphertext:
        """The tile of a task; all that it reads is held."""
        number, tile = task.tile
        step, entries = steps[number], parts[number].tiles[tile]
        if finished is not None and task.tile in known:
            return finished.read(number, tile)
        if isinstance(step, InputStep):
            argument = arguments[step.argument]
            assert argument is not None  # of an encrypted argument
            return argument.chosen(block, entries)
        made = _made(step, constants[number], keys, parts, task, held)
        if finished is not None:
            finished.keep(jax.block_until_ready(made), number, tile)
        return made

    def done(task: Task, count: int) -> None:
        """Forget what another start would not ask for, and tell how much is done."""
        if finished is not None and task.tile[0] in finished.steps:
            there = finished.known()
            for tile in there.difference(task.tile for task in asked(there)):
                finished.remove(*tile)
        if progress is not None:
            before = max(0, total - len(tasks))
            progress(before + count, before + len(tasks))

    widths = [ciphertext_bytes(plan, step) for step in steps]
    sizes = {(n, tile): len(parts[n].tiles[tile]) * widths[n] for n, tile in (task.tile for task in tasks)}
    room = _Room(plan.peak_bytes, sizes, current_device().blocks.tiles)
    held = _run_tasks(tasks, make, frozenset(outputs), len(steps), room, done)
    return [(_joined(held, output, parts[output]),) for output in outputs]


@dataclasses.dataclass(frozen=True)
class _Room:
    """The memory that tiles may take.

    Attributes:
        bytes: of all tiles at once, as it was predicted.
        sizes: of each tile.
        together: tasks that may run at once.
    """

    bytes: int
    sizes: Mapping[Tile, int]
    together: int

    def next_task(
        self, waiting: Sequence[Task], held: Collection[Tile], running: Collection[Task]
    ) -> Task | None:
        """The first task whose tiles are there and whose own has room, or that runs alone; or none."""
        taken = sum(self.sizes[tile] for tile in (*held, *(task.tile for task in running)))
        for task in waiting if len(running) < self.together else ():
            fits = not running or taken + self.sizes[task.tile] <= self.bytes
            if fits and all(tile in held for tile in task.needs):
                return task
        return None


def _run_tasks(
    tasks: Sequence[Task],
    make: Callable[[Task, Mapping[Tile, Ciphertext]], Ciphertext],
    kept: frozenset[int],
    ahead: int,
    room: _Room,
    done: Callable[[Task, int], None],
) -> dict[Tile, Ciphertext]:
    """The tiles of the kept registers, after all tasks.

    XLA runs what is inside of a loop on one core of a CPU, so several tasks run at once, each in a thread of
    its own: the first ones in order whose tiles are there, and for whose own there is room.

    Args:
        tasks: in order.
        make: the tile of a task, from those that are held.
        kept: registers whose tiles are not forgotten.
        ahead: how far behind the first task that has not begun others may begin.
        room: for tiles.
        done: told of each task that is done, and how many are.
    """
    held: dict[Tile, Ciphertext] = {}
    left, waiting = uses(tasks), list(tasks)
    running: dict[Future[Ciphertext], Task] = {}
    with ThreadPoolExecutor(room.together) as pool:
        while waiting or running:
            while task := room.next_task(waiting[:ahead], held, running.values()):
                waiting.remove(task)
                running[pool.submit(_finished, make, task, {tile: held[tile] for tile in task.needs})] = task
            ended = wait(running, return_when=FIRST_COMPLETED).done
            while ended:
                future = ended.pop()
                task = running.pop(future)
                held[task.tile] = future.result()
                del future  # which would keep its tile
                left.subtract(task.needs)
                for tile in task.needs:
                    if not left[tile] and tile[0] not in kept:
                        del held[tile]
                done(task, len(tasks) - len(waiting) - len(running))
    return held


def _finished(
    make: Callable[[Task, Mapping[Tile, Ciphertext]], Ciphertext], task: Task, held: Mapping[Tile, Ciphertext]
) -> Ciphertext:
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
