"""Residues in files take as many bits as their primes have."""

import dataclasses

import jax
import numpy as np
import pytest

import fhejax
from fhejax.ckks.files import FormatError
from fhejax.ckks.files.container import CHECKSUM_BYTES, HEADER, checksum, unpack_header
from fhejax.program.files.payload import packed_bits


@pytest.fixture(scope="module")
def call():
    program = fhejax.compile(
        lambda x: x[:, :2] * x[:, 1:], fhejax.Encrypted((5, 3)), insecure_log_degree=5, device="cpu"
    )
    secret, _ = program.keygen()
    return program, program.encrypt(secret, np.linspace(-1, 1, 15).reshape(5, 3))


def with_batch(data, batch):
    """The same file, sealed again, with another batch in its header."""
    header = dataclasses.replace(unpack_header(data[: HEADER.size]), batch=batch).pack()
    payload = data[HEADER.size : -CHECKSUM_BYTES]
    return header + payload + checksum([header, payload])


def test_a_file_is_as_short_as_its_primes(call, tmp_path):
    program, upload = call
    bits = packed_bits(program.params)
    assert bits == max(program.params.moduli).bit_length() < 31
    fhejax.save(tmp_path / "packed", upload)
    fhejax.save(tmp_path / "words", upload, memory_map=True)
    packed, words = (tmp_path / name for name in ("packed", "words"))
    assert words.stat().st_size - packed.stat().st_size == upload.data.size // 8 * (32 - bits)
    assert packed.stat().st_size == program.client.predictions.upload_bytes
    assert packed.read_bytes() == fhejax.to_bytes(upload)
    for found in (fhejax.load(packed, program.params), fhejax.load(words, program.params)):
        assert jax.tree.structure(found) == jax.tree.structure(upload)
        for leaf, other in zip(jax.tree.leaves(found), jax.tree.leaves(upload), strict=True):
            np.testing.assert_array_equal(leaf, other)


def test_a_packed_file_is_no_map(call, tmp_path):
    program, upload = call
    fhejax.save(tmp_path / "packed", upload)
    bits = packed_bits(program.params)
    with pytest.raises(
        ValueError, match=rf"{bits} bits each; write the file by save\(path, obj, memory_map=True\)"
    ):
        fhejax.load(tmp_path / "packed", program.params, memory_map=True)


def test_another_number_of_bits_is_refused(call):
    program, upload = call
    bits = packed_bits(program.params)
    data = fhejax.to_bytes(upload)
    length = unpack_header(data[: HEADER.size]).batch[0]
    wrong = [(length, other) for other in (1, bits - 1, bits + 1, 32, 64)]
    for batch in (*wrong, (length, bits, bits), (length,)):
        with pytest.raises(FormatError):
            fhejax.from_bytes(with_batch(data, batch), program.params)
    assert with_batch(data, (length, bits)) == data


def test_residues_beyond_their_primes_are_refused(call):
    program, upload = call
    data = bytearray(fhejax.to_bytes(upload))
    length, bits = batch = unpack_header(bytes(data[: HEADER.size])).batch
    start, size = HEADER.size + length, upload.data.size * bits // 8
    data[start : start + size] = b"\xff" * size
    with pytest.raises(FormatError, match="not below its prime"):
        fhejax.from_bytes(with_batch(bytes(data), batch), program.params)
