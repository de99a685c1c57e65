"""Encrypted arguments that stay in their files: the same results, and what is wrong with a file is found."""

import dataclasses
import mmap
import pathlib

import jax
import numpy as np
import pytest
from small_networks import convolutional

import fhejax
from fhejax.ckks import memory_maps
from fhejax.ckks.files import FormatError
from fhejax.program.levels.tile_choice import predicted_memory

ARGUMENT = fhejax.Encrypted((24, 8, 8, 3), range=(-1, 1))  # in two blocks of 16 slots
OPTIONS = {"insecure_log_degree": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """A program in tiles, its keys, an upload and its file."""
    whole = fhejax.compile(convolutional, ARGUMENT, **OPTIONS)
    memory = predicted_memory(whole.plan) - 1
    program = fhejax.compile(convolutional, ARGUMENT, memory=memory, memory_map=True, **OPTIONS)
    secret, keys = program.keygen()
    images = np.random.default_rng(1).uniform(-1, 1, ARGUMENT.shape).astype(np.float32)
    upload = program.encrypt(secret, images)
    path = tmp_path_factory.mktemp("uploads") / "upload.fhe"
    fhejax.save(path, upload, memory_map=True)
    return program, secret, keys, upload, path


def test_a_map_is_the_same_argument(call, tmp_path):
    program, secret, keys, upload, path = call
    found = fhejax.load(path, program.params, memory_map=True)
    assert isinstance(found.data, np.memmap) and not found.data.flags.writeable
    assert jax.tree.structure(found) == jax.tree.structure(upload) and found.bytes == upload.bytes
    expected = program(keys, upload)
    np.testing.assert_array_equal(program(keys, found).data, expected.data)
    np.testing.assert_array_equal(program(keys, found, folder=tmp_path).data, expected.data)
    np.testing.assert_array_equal(program(keys, upload, folder=tmp_path).data, expected.data)  # the same call
    np.testing.assert_array_equal(program.decrypt(secret, found), program.decrypt(secret, upload))
    assert fhejax.to_bytes(found) == fhejax.to_bytes(upload)


def test_results_and_what_else_a_file_holds_can_be_maps(call, tmp_path):
    program, secret, keys, upload, _ = call
    result = program(keys, upload)
    fhejax.save(tmp_path / "results", {"result": result, "plain": np.arange(3)}, memory_map=True)
    found = fhejax.load(tmp_path / "results", program.params, memory_map=True)
    np.testing.assert_array_equal(program.decrypt(secret, found["result"]), program.decrypt(secret, result))
    assert found["plain"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("place", [-1, -40, 300, 20_000])
def test_an_altered_file_is_refused(call, tmp_path, place):
    program, _, _, _, path = call
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    (tmp_path / "altered").write_bytes(content)
    with pytest.raises(FormatError):
        fhejax.load(tmp_path / "altered", program.params, memory_map=True)
    (tmp_path / "short").write_bytes(content[:-5])
    with pytest.raises(FormatError, match="cut short"):
        fhejax.load(tmp_path / "short", program.params, memory_map=True)


def test_residues_beyond_their_primes_are_refused(call, monkeypatch):
    program, _, keys, upload, path = call
    data = np.array(upload.data)
    data[1, 7, 7, 2, 0, -1, 5] = 2**32 - 1
    with pytest.raises(ValueError, match="not below its prime"):
        program(keys, dataclasses.replace(upload, data=data))
    monkeypatch.setattr(memory_maps, "_PIECE", 1000)
    program(keys, fhejax.load(path, program.params, memory_map=True))
    with pytest.raises(ValueError, match="not below its prime"):
        program(keys, dataclasses.replace(upload, data=data))


def test_only_encrypted_arrays_can_be_maps(call, tmp_path):
    program, _, keys, _, _ = call
    fhejax.save(tmp_path / "keys", keys)
    with pytest.raises(ValueError, match="holds no encrypted arrays"):
        fhejax.load(tmp_path / "keys", program.params, memory_map=True)


def test_predictions_know_of_maps(call):
    program = call[0]
    assert program.plan.memory_map and program.plan.tiles
    assert "arguments are read from their files" in program.report()
    counted = dataclasses.replace(program.plan, memory_map=False)
    assert predicted_memory(counted) - predicted_memory(program.plan) == call[3].data.nbytes
    untiled = fhejax.compile(convolutional, ARGUMENT, memory_map=True, **OPTIONS)
    assert not untiled.plan.memory_map and not untiled.plan.tiles
    with pytest.raises(ValueError, match="memory_map"):
        fhejax.compile(convolutional, ARGUMENT, memory_map="yes", **OPTIONS)


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="the system takes no advice")
def test_what_was_read_is_given_back(tmp_path):
    (tmp_path / "numbers").write_bytes(np.arange(2**22, dtype="<u4").tobytes())
    with (tmp_path / "numbers").open("rb") as stream:
        array = memory_maps.mapped(stream, np.dtype("<u4"), 0, (2, 2, 2**20))

    def resident():
        maps = pathlib.Path("/proc/self/smaps").read_text().split(str(tmp_path / "numbers"))[1]
        return int(maps.split("Rss:")[1].split()[0])

    assert int(array.sum(dtype=np.int64)) == 2**22 * (2**22 - 1) // 2 and resident() > 2**13
    found = memory_maps.taken(array, 1, np.array([1]), 1)
    assert found[0, 0] == 3 * 2**20 and resident() < 2**13
    parts = [part.copy() for part in memory_maps.pieces(array, 1)]
    np.testing.assert_array_equal(np.concatenate(parts).reshape(-1), np.arange(2**22))
    assert resident() == 0
