"""Tiles without room in memory go to files: the same results, as maps, and calls that were stopped go on."""

import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from small_networks import convolve, weights

import fhejax
from fhejax.ckks.memory_maps import blank
from fhejax.program.circuit.tiles.memory import TileMemory
from fhejax.program.files.run_folder import RunFolder
from fhejax.program.levels.tile_choice import predicted_memory, process_bytes

ARGUMENT = fhejax.Encrypted((24, 16, 16, 3), range=(-1, 1))  # in two blocks of 16 slots
OPTIONS = {"insecure_log_degree": 4, "device": "cpu"}
ROOM = 200_000  # bytes for tiles; in memory alone the smallest take 835,584, and a task 86,016


KILLED = """
import os, pathlib, signal, sys
import fhejax

folder = pathlib.Path(sys.argv[1])
server = fhejax.load_server(folder / "server", allow_insecure=True)
keys = fhejax.load(folder / "keys", server.params)
upload = fhejax.load(folder / "upload", server.params, memory_map=True)


def progress(done, total):
    if done >= 150:  # of 192, within the second block
        os.kill(os.getpid(), signal.SIGKILL)


server(keys, upload, folder=folder / "call", progress=progress)
"""


class Stopped(Exception):
    pass


def maps_of(x):
    """A convolution with a square, which two others read one after the other: results as large as it is."""
    x = jnp.square(convolve(x, weights(3, 3, 3, 4)) + 0.1)
    return tuple(convolve(x, weights(3, 3, 4, 4, seed=seed)) for seed in (1, 2))


@pytest.fixture(autouse=True)
def results_alone_are_kept(monkeypatch):
    monkeypatch.setattr("fhejax.program.run.blocks.kept_steps", lambda plan: frozenset(plan.outputs))


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """A program whose tiles have too little room, its keys, an upload in its file, and the result."""
    whole = fhejax.compile(maps_of, ARGUMENT, **OPTIONS)
    memory = process_bytes(whole.plan) + ROOM
    program = fhejax.compile(maps_of, ARGUMENT, memory=memory, memory_map=True, **OPTIONS)
    secret, keys = program.keygen()
    images = np.random.default_rng(1).uniform(-1, 1, ARGUMENT.shape).astype(np.float32)
    upload = program.encrypt(secret, images)
    path = tmp_path_factory.mktemp("uploads") / "upload.fhe"
    fhejax.save(path, upload, memory_map=True)
    expected = whole(keys, upload)
    return program, secret, keys, fhejax.load(path, program.params, memory_map=True), expected


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_plan_tells_what_goes_to_files(call):
    plan = call[0].plan
    assert plan.memory_map and plan.peak_bytes == ROOM and plan.moved_bytes > 100_000
    assert predicted_memory(plan) == process_bytes(plan) + ROOM
    assert "without room in memory go to the call's folder" in call[0].report()
    memory = process_bytes(plan) + ROOM
    with pytest.raises(ValueError, match=r"at least, .* or memory_map=True, by which tiles may be in files"):
        fhejax.compile(maps_of, ARGUMENT, memory=memory, **OPTIONS)
    with pytest.raises(ValueError, match=r"at least, .* fewer samples\.$"):
        fhejax.compile(maps_of, ARGUMENT, memory=memory - ROOM + 1e4, memory_map=True, **OPTIONS)


def test_the_same_result_in_a_file_with_no_more_than_its_room(call, tmp_path, monkeypatch):
    program, secret, keys, upload, expected = call
    written, held, write, end = [], [], RunFolder.write, TileMemory.end

    def noted(self, place, result):
        written.append(place)
        write(self, place, result)

    def measured(self, task):
        held.append(self._bytes(self.held | {task.tile} | task.needs))
        return end(self, task)

    monkeypatch.setattr(RunFolder, "write", noted)
    monkeypatch.setattr(TileMemory, "end", measured)
    found = program(keys, upload, folder=tmp_path)
    same(found, expected)
    assert max(held) <= ROOM and len(set(written)) == len(written)
    assert any(step not in program.plan.outputs for _, step, _ in written)
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours.data, np.memmap) and not ours.data.flags.writeable
        np.testing.assert_array_equal(program.decrypt(secret, ours), program.decrypt(secret, theirs))
    assert fhejax.to_bytes(found) == fhejax.to_bytes(expected)
    left = {path.name.split("-")[3] for path in tmp_path.glob("block-*.fhe")}
    assert left == {
        f"{output:04}" for output in program.plan.outputs
    }  # files of the result alone, and none of the map
    assert {path.suffix for path in tmp_path.iterdir()} == {".fhe", ".sha256"}


def test_a_stopped_call_goes_on_from_its_files(call, tmp_path, monkeypatch):
    program, _, keys, upload, expected = call
    written, write = [], RunFolder.write

    def noted(self, place, result):
        written.append(place)
        write(self, place, result)

    def stop_after(count):
        def progress(done, total):
            if done >= count:
                raise Stopped

        return progress

    monkeypatch.setattr(RunFolder, "write", noted)
    for count in (60, 150):  # of 192, the second one within the second block
        with pytest.raises(Stopped):
            program(keys, upload, folder=tmp_path, progress=stop_after(count))
    same(program(keys, upload, folder=tmp_path), expected)
    assert len(set(written)) == len(written)  # what was in a file was not made again
    written.clear()
    same(program(keys, upload, folder=tmp_path), expected)
    assert not written


def test_a_call_whose_process_is_killed_goes_on_in_another(call, tmp_path):
    program, secret, keys, upload, expected = call
    program.save_server(tmp_path / "server")
    for name, value in (("keys", keys), ("upload", upload)):
        fhejax.save(tmp_path / name, value, memory_map=True)
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL
    left = list((tmp_path / "call").glob("block-*.fhe"))
    assert left
    told = []
    same(program(keys, upload, folder=tmp_path / "call", progress=lambda *done: told.append(done)), expected)
    assert len(told) < told[-1][1]  # some of the first block was there
    hidden = np.asarray(secret.coefficients).tobytes()
    assert not any(hidden in path.read_bytes() for path in (tmp_path / "call").iterdir())


def test_files_need_a_folder(call, tmp_path):
    program, _, keys, upload, expected = call
    with pytest.raises(
        ValueError, match=r"no room in memory, .* and no folder was named; call it with folder="
    ):
        program(keys, upload)
    program.save_server(tmp_path / "server.fhe")
    server = fhejax.load_server(tmp_path / "server.fhe", allow_insecure=True)
    assert server.plan.moved_bytes == program.plan.moved_bytes
    same(server(keys, upload, folder=tmp_path / "call"), expected)


def test_a_blank_map_goes_with_its_file(tmp_path):
    array = blank(tmp_path, np.dtype("<u4"), (3, 5))
    assert array.shape == (3, 5) and not array.any() and not list(tmp_path.iterdir())
    array[1] = 7
    assert array.sum() == 35
