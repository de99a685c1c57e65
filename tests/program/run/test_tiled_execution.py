"""Programs in tiles give the ciphertexts that they give without, bit by bit."""

import dataclasses
import time

import jax
import numpy as np
import pytest
from small_networks import convolutional, residual

import fhejax
from fhejax.program.run import tiled_execution

SAMPLES = 24  # in two blocks of 16 slots


def tiled(program, count):
    """The program with so many tiles of each step's result, as far as it can be cut."""
    tiles = (count,) * len(program.plan.steps)
    return dataclasses.replace(program, plan=dataclasses.replace(program.plan, tiles=tiles))


def compiled(function):
    argument = fhejax.Encrypted((SAMPLES, 8, 8, 3), range=(-1, 1))
    return fhejax.compile(function, argument, insecure_log_degree=4, device="cpu")


@pytest.mark.parametrize("function", [convolutional, pytest.param(residual, marks=pytest.mark.nightly)])
def test_bit_by_bit_as_without_tiles(function):
    program = compiled(function)
    images = np.random.default_rng(1).uniform(-1, 1, (SAMPLES, 8, 8, 3)).astype(np.float32)
    secret, keys = program.keygen()
    upload = program.encrypt(secret, images)
    expected = program(keys, upload)
    told = []
    found = tiled(program, 4)(keys, upload, progress=lambda done, total: told.append((done, total)))
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    total = told[-1][1]
    assert total > 2 * 4 * 3 and [done for done, _ in told] == list(range(1, total + 1))
    assert {of for _, of in told} == {total}
    for count, given in ((16, upload.expanded()), (2, upload)):
        again = tiled(program, count)(keys, given)
        np.testing.assert_array_equal(jax.tree.leaves(again)[0], jax.tree.leaves(expected)[0])


@pytest.mark.parametrize("room", [0, 10**9])
def test_a_tile_is_made_beside_others_only_where_there_is_room(monkeypatch, room):
    program = tiled(compiled(convolutional), 4)
    program = dataclasses.replace(program, plan=dataclasses.replace(program.plan, peak_bytes=room))
    secret, keys = program.keygen()
    upload = program.encrypt(secret, np.ones((SAMPLES, 8, 8, 3), np.float32))
    running, most = [], []
    make = tiled_execution._finished

    def noted(*task):
        running.append(None)
        most.append(len(running))
        time.sleep(0.01)
        found = make(*task)
        running.pop()
        return found

    monkeypatch.setattr(tiled_execution, "_finished", noted)
    program(keys, upload)
    assert max(most) == (2 if room else 1)


def test_a_long_program_without_tiles_tells_of_its_steps():
    weights = np.random.default_rng(0).normal(size=(4, 3)) / 4
    argument = fhejax.Encrypted((2, 4), range=(-1, 1))
    program = fhejax.compile(
        lambda x: (x @ weights) ** 2, argument, packing="multiplexed", insecure_log_degree=6
    )
    secret, keys = program.keygen()
    upload = program.encrypt(secret, np.ones((2, 4), np.float32))
    told = []
    found = program(keys, upload, progress=lambda done, total: told.append((done, total)))
    total = 2 * len(program.plan.steps)  # each sample is a block
    assert told == [(done, total) for done in range(1, total + 1)]
    np.testing.assert_array_equal(found.data, program(keys, upload).data)
    jax.eval_shape(lambda *call: program(*call, progress=lambda *_: told.append(None)), keys, upload)
    assert None not in told


def test_a_traced_call_runs_without_tiles():
    program = compiled(convolutional)
    secret, keys = program.keygen()
    upload = program.encrypt(secret, np.ones((SAMPLES, 8, 8, 3), np.float32))
    traced = jax.eval_shape(tiled(program, 4), keys, upload)
    assert traced.data.shape == (2, 3, 3, len(program.params.levels[traced.level]), 16)


def test_what_goes_wrong_in_a_tile_is_told(monkeypatch):
    program = compiled(convolutional)
    secret, keys = program.keygen()
    upload = program.encrypt(secret, np.ones((SAMPLES, 8, 8, 3), np.float32))

    def broken(*_):
        raise OSError("no room")

    monkeypatch.setattr(type(upload), "chosen", broken)
    with pytest.raises(OSError, match="no room"):
        tiled(program, 4)(keys, upload)
