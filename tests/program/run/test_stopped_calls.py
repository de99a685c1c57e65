"""Calls that were stopped go on where they were, from what is in their folder, and return the same bits."""

import dataclasses

import jax
import numpy as np
import pytest
from small_networks import convolutional

import fhejax
from fhejax.ckks.files import FormatError
from fhejax.program.files.run_folder import RunFolder
from fhejax.program.run import finished_results

SAMPLES = 24  # in two blocks of 16 slots
TILES = 4


class Stopped(Exception):
    pass


def compiled(function, shape, tiles):
    """A program with so many tiles of each step's result, its keys and an upload."""
    argument = fhejax.Encrypted(shape, range=(-1, 1))
    program = fhejax.compile(function, argument, insecure_log_degree=4, device="cpu")
    if tiles:
        plan = dataclasses.replace(program.plan, tiles=(tiles,) * len(program.plan.steps))
        program = dataclasses.replace(program, plan=plan)
    secret, keys = program.keygen()
    values = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    return program, secret, keys, values


@pytest.fixture(autouse=True)
def all_steps_are_kept(monkeypatch):
    monkeypatch.setattr(
        "fhejax.program.run.blocks.kept_steps", lambda plan: frozenset(range(1, len(plan.steps)))
    )


@pytest.fixture(scope="module")
def batch():
    """A program in tiles, its keys, the upload, and the result of a call that was not stopped."""
    program, secret, keys, images = compiled(convolutional, (SAMPLES, 8, 8, 3), TILES)
    upload = program.encrypt(secret, images)
    return program, secret, keys, images, upload, program(keys, upload)


def stop_after(count):
    """A `progress` that stops a call after so many tiles or steps."""

    def progress(done, total):
        if done == count:
            raise Stopped

    return progress


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_stopped_call_goes_on_and_returns_the_same_bits(batch, tmp_path, monkeypatch):
    program, _, keys, _, upload, expected = batch
    told = []
    program(keys, upload, progress=lambda done, total: told.append(total))
    written, write = [], RunFolder.write

    def noted(self, place, result):
        written.append(place)
        write(self, place, result)

    monkeypatch.setattr(RunFolder, "write", noted)
    total = told[-1]
    for count in (total // 4, total // 2, total - 3):  # the last of them within the second block
        with pytest.raises(Stopped):
            program(keys, upload, folder=tmp_path, progress=stop_after(count))
    resumed = []
    found = program(keys, upload, folder=tmp_path, progress=lambda *done: resumed.append(done))
    same(found, expected)
    assert len(set(written)) == len(written) > TILES  # nothing that was kept was made again
    assert resumed[-1] == (total, total) and len(resumed) < total
    monkeypatch.setattr(RunFolder, "write", None)  # a call that was finished makes nothing
    same(program(keys, upload, folder=tmp_path), expected)
    left = {path.name for path in tmp_path.glob("block-*.fhe")}
    output = program.plan.outputs[0]
    assert len(left) <= 2 * TILES and all(f"-step-{output:04}-" in name for name in left)
    assert fhejax.load(next(tmp_path.glob("block-*.fhe")), program.params).data.ndim == 4


def test_what_a_killed_writer_left_is_ignored(batch, tmp_path, monkeypatch):
    program, _, keys, _, upload, expected = batch
    with pytest.raises(Stopped):
        program(keys, upload, folder=tmp_path, progress=stop_after(12))
    name = f"block-000-step-{program.plan.outputs[0]:04}-tile-0000.fhe"
    (tmp_path / f".{name}.{'0' * 16}.tmp").write_bytes(b"half of it")
    (tmp_path / f"{name}.tmp").write_bytes(b"half of it")
    same(program(keys, upload, folder=tmp_path), expected)


def test_an_altered_file_is_refused(batch, tmp_path):
    program, _, keys, _, upload, _ = batch
    program(keys, upload, folder=tmp_path)
    path = min(tmp_path.glob("block-*.fhe"))
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="checksum"):
        program(keys, upload, folder=tmp_path)


def test_another_program_key_or_input_is_refused(batch, tmp_path):
    program, secret, keys, images, upload, _ = batch
    program(keys, upload, folder=tmp_path)
    other_tiles = dataclasses.replace(program.plan, tiles=(2,) * len(program.plan.steps))
    other_program = dataclasses.replace(program, plan=other_tiles)
    other_weights = dataclasses.replace(program, leaves=(program.leaves[0] + 1, *program.leaves[1:]))
    other_secret, other_keys = program.keygen()
    for call in (
        (other_program, keys, upload),
        (other_weights, keys, upload),
        (program, other_keys, program.encrypt(other_secret, images)),
        (program, keys, program.encrypt(secret, images)),  # the same numbers, encrypted anew
        (program, keys, program.encrypt(secret, images[:5])),
    ):
        with pytest.raises(ValueError, match="holds a run of another program, or with other keys or arg"):
            call[0](*call[1:], folder=tmp_path)
    (tmp_path / "run.sha256").unlink()
    with pytest.raises(ValueError, match="unknown run"):
        program(keys, upload, folder=tmp_path)
    with pytest.raises(ValueError, match=r"outside of jit.*without folder="):
        jax.eval_shape(lambda *call: program(*call, folder=tmp_path), keys, upload)


def test_a_program_without_tiles_keeps_steps(tmp_path):
    weights = np.random.default_rng(0).normal(size=(3, 3)) / 3
    program, secret, keys, values = compiled(lambda x: (x @ weights) ** 2, (SAMPLES, 3), 0)
    upload = program.encrypt(secret, values)
    expected = program(keys, upload)
    assert len(program.plan.steps) == 3
    for count in (2, 5):
        with pytest.raises(Stopped):
            program(keys, upload, folder=tmp_path, progress=stop_after(count))
    told = []
    same(program(keys, upload, folder=tmp_path, progress=lambda *done: told.append(done)), expected)
    assert told == [(3, 6), (5, 6), (6, 6)]  # the first block is read, and the second from its second step on
    assert len(list(tmp_path.glob("block-*.fhe"))) == 2
    same(program(keys, upload, folder=tmp_path), expected)


def test_what_is_quick_to_write_and_narrow_is_kept(batch, monkeypatch):
    plan = batch[0].plan
    sizes = [step.size * step.components * len(plan.params.levels[step.level]) for step in plan.steps]
    monkeypatch.setattr(finished_results, "_DISK", 0.0)
    assert finished_results.kept_steps(plan) == set(plan.outputs)
    monkeypatch.setattr(finished_results, "_DISK", 1e15)
    kept = finished_results.kept_steps(plan)
    narrow = {n for n in range(1, len(sizes) - 1) if sizes[n] <= sizes[n + 1]}
    assert kept == narrow | set(plan.outputs) and narrow
