"""Tiles of registers: what they hold, what they read, and how much memory an order of them takes."""

import numpy as np
import pytest

from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.nodes.gather import GatherStep
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.circuit.nodes.linear import LinearStep
from fhejax.program.circuit.nodes.square import SquareStep
from fhejax.program.circuit.tiles.memory import tile_sizes
from fhejax.program.circuit.tiles.partition import Partition, partitions
from fhejax.program.circuit.tiles.schedule import peak_bytes, remaining, schedule, uses

ONE = Scale.of(1)
WINDOWS = np.stack([np.arange(-1, 7), np.arange(8), np.r_[1:8, -1]])[None].astype(np.int32)  # [1, 3, 8]


def circuit():
    """Eight numbers, their squares, sums of three neighbours as two maps, and everything in one sum."""
    steps = [
        InputStep((), 8, 2, 0, ONE),
        SquareStep((0,), 8, 3, 0, ONE),
        LinearStep((1,), 16, 3, 0, ONE, gathered=True),
        LinearStep((2,), 1, 3, 0, ONE),
    ]
    weights = np.arange(6).reshape(1, 2, 3).astype(np.int32)
    constants = [[], [], [weights, WINDOWS], [np.ones((1, 1, 16), np.int32)]]
    return steps, constants


def test_partitions_hold_every_entry_once():
    steps, constants = circuit()
    parts = partitions(steps, constants, [4, 1, 4, 4])
    assert [len(part.tiles) for part in parts] == [4, 4, 4, 1]
    assert parts[1] is parts[0]  # an elementwise step has the tiles of its source
    for step, part in zip(steps, parts, strict=True):
        np.testing.assert_array_equal(np.sort(part.order), np.arange(step.size))
        for number, tile in enumerate(part.tiles):
            assert part.naming(tile) == (number,)
    assert parts[2].tiles[1].tolist() == [2, 3, 10, 11]  # both maps of two positions
    assert parts[2].places([1, 0])[[2, 10, 0]].tolist() == [0, 2, 4] and parts[2].places([1])[0] == -1


def test_a_tile_of_a_window_reads_its_neighbours_and_each_tile_is_made_once():
    steps, constants = circuit()
    parts = partitions(steps, constants, [4, 1, 4, 1])
    tasks = schedule(steps, constants, parts, [3])
    assert len(tasks) == len({task.tile for task in tasks}) == 13
    reads = {task.tile: task.reads for task in tasks}
    assert reads[2, 0] == (((1, 0), (1, 1)),) and reads[2, 1] == (((1, 0), (1, 1), (1, 2)),)
    assert uses(tasks)[1, 1] == 3
    made = set()
    for task in tasks:
        assert task.needs <= made
        made.add(task.tile)
    assert [t.tile for t in tasks[:5]] == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]


def test_what_is_left_where_some_tiles_are_there():
    steps, constants = circuit()
    parts = partitions(steps, constants, [4, 1, 4, 1])
    tasks = schedule(steps, constants, parts, [3])
    assert remaining(tasks, [3], []) == tasks
    left = remaining(tasks, [3], [(2, 0), (2, 1), (1, 3), (0, 0)])
    # The squares that the first two sums read alone, and what was read for the fourth, nobody asks for.
    assert {task.tile for task in tasks} - {task.tile for task in left} == {(0, 0), (1, 0), (0, 3)}
    assert {task.tile for task in left if not task.needs} == {(2, 0), (2, 1), (1, 3), (0, 1), (0, 2)}
    assert [task.tile for task in remaining(tasks, [3], [(3, 0)])] == [(3, 0)]


def test_memory_is_that_of_what_is_kept():
    steps, constants = circuit()
    widths = [1, 10, 100, 1000]
    for counts, expected in (([1] * 4, 16 * 100 + 1000), ([8, 1, 8, 1], 16 * 100 + 1000)):
        parts = partitions(steps, constants, counts)
        tasks = schedule(steps, constants, parts, [3])
        assert peak_bytes(tasks, tile_sizes(tasks, parts, widths), 0) == expected
    parts = partitions(steps, constants, [8, 1, 8, 1])
    tasks = schedule(steps, constants, parts, [2])
    # At the end all 16 results are there, and the squares of the last two positions.
    sizes = tile_sizes(tasks, parts, widths)
    assert peak_bytes(tasks, sizes, 0) == 16 * 100 + 2 * 10
    assert peak_bytes(tasks, sizes, 2) == 16 * 100 + 2 * 10 + 2 * 200


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_step_for_a_part_names_the_same_numbers(count):
    steps, constants = circuit()
    step, (weights, windows) = steps[2], constants[2]
    values = np.arange(1, 9)
    padded = np.append(values, 0)
    whole = np.einsum("gok,gkp->gop", weights, padded[windows]).reshape(-1)
    for tile in step.cut(constants[2], count):
        (read,) = step.entries_read(constants[2], tile)
        places = Partition((read,) if len(read) == 8 else (read, np.setdiff1d(np.arange(8), read))).places(
            [0]
        )
        part, (own, entries) = step.part(constants[2], tile, places)
        held = np.append(values[read], 0)
        np.testing.assert_array_equal(np.einsum("gok,gkp->gop", own, held[entries]).reshape(-1), whole[tile])
        assert part.size == len(tile)


def test_a_gather_of_a_part():
    step, leaf = GatherStep((0,), 4, 2, 0, ONE), np.array([3, -1, 0, 3], np.int32)
    first, second = step.cut([leaf], 2)
    assert step.entries_read([leaf], first)[0].tolist() == [3] and second.tolist() == [2, 3]
    part, (entries,) = step.part([leaf], second, np.array([1, -1, -1, 0]))
    assert part.size == 2 and entries.tolist() == [1, 0] and entries.dtype == np.int32
