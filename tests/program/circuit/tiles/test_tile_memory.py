"""Which tiles leave memory: never more is held than there is room for, and what is read last leaves first."""

import pytest

from fhejax.program.circuit.tiles.memory import TileMemory, largest_task_bytes, moved_bytes
from fhejax.program.circuit.tiles.schedule import Task, peak_bytes

OUTPUT = 9


def task(tile, *needs):
    return Task(tile, (needs,))


# Four values that are read in pairs: the first one at the end as well.
A, B, C, D = ((0, number) for number in range(4))
TASKS = (
    task(A),
    task(B),
    task(C),
    task((OUTPUT, 0), B, C),
    task(D),
    task((OUTPUT, 1), C, D),
    task((OUTPUT, 2), A, D),
)
SIZES = {t.tile: 10 if t.tile[0] == 0 else 1 for t in TASKS}


def one_after_the_other(room):
    """What leaves memory before each task, and the most bytes that are held."""
    memory, left, most = TileMemory(TASKS, SIZES, room, [OUTPUT], True), [], 0
    for each in TASKS:
        leaving = memory.begin(each)
        assert leaving is not None and not memory.held & memory.away
        left.append(leaving)
        taken = memory.held | each.needs | {each.tile}
        most = max(most, sum(SIZES[tile] for tile in taken))
        memory.end(each)
    assert memory.held | memory.away == {(OUTPUT, 0), (OUTPUT, 1), (OUTPUT, 2)}
    return left, most


def test_nothing_leaves_where_there_is_room():
    room = peak_bytes(TASKS, SIZES, 0)
    assert one_after_the_other(room) == ([()] * len(TASKS), room)
    assert moved_bytes(TASKS, SIZES, room, [OUTPUT], []) == 0


@pytest.mark.parametrize("room", [21, 25, 30])
def test_what_is_read_last_leaves_first(room):
    left, most = one_after_the_other(room)
    assert left[2] == ((A,) if room < 30 else ()) and most <= room
    assert A in sum(left, ())
    # The first value is written and read once; where there is room for two alone, results leave too.
    moved = moved_bytes(TASKS, SIZES, room, [OUTPUT], [])
    assert 20 <= moved <= 22 and moved == (22 if room == 21 else 20)
    assert moved_bytes(TASKS, SIZES, room, [OUTPUT], [0]) == moved - 10  # a file already


def test_no_less_room_than_the_largest_task():
    assert largest_task_bytes(TASKS, SIZES) == 21
    assert one_after_the_other(0)[1] > 0  # a task that runs alone has room all the same


def test_a_task_waits_for_what_runs():
    memory = TileMemory(TASKS, SIZES, 35, [OUTPUT], True)
    assert memory.begin(TASKS[3]) is None  # what it reads was not made
    for each in TASKS[:3]:
        assert memory.begin(each) == ()
        memory.end(each)
    assert memory.begin(TASKS[3]) == ()
    assert memory.begin(TASKS[4]) == (A,)  # what a running task reads stays
    assert memory.held == {B, C} and memory.away == {A}
    assert memory.begin(TASKS[5]) is None
    memory.end(TASKS[4])
    assert memory.begin(TASKS[6]) is None  # room for the first value is taken by what others read
    assert memory.end(TASKS[3]) == (B,)
    assert memory.begin(TASKS[6]) == () and memory.begin(TASKS[5]) is not None
    fixed = TileMemory(TASKS, SIZES, 15, [OUTPUT], False)
    assert fixed.begin(TASKS[0]) == () and fixed.begin(TASKS[1]) is None
    fixed.end(TASKS[0])
    assert fixed.begin(TASKS[1]) == ()  # alone, with nothing leaving
