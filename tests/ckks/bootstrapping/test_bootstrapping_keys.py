"""Bootstrapping keys one at a time: in memory, to a file and back, and a sentence for any other file."""

import dataclasses
import functools
import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.bootstrapping_cases import make_case
from fhejax import ckks
from fhejax.ckks.bootstrapping import (
    BootstrappingCircuit,
    BootstrappingKeys,
    bootstrapping_circuit,
    bootstrapping_keys,
)
from fhejax.ckks.bootstrapping.encapsulation import encapsulation_parameters
from fhejax.ckks.files import FormatError

HEADER, CHECKSUM = 128, 32
OPTIONS = {
    "degree": 32,
    "slots": 8,
    "hamming_weight": 2,
    "ratio_bits": 8,
    "coefficients_to_slots": 1,
    "slots_to_coefficients": 1,
    "insecure": True,
}


def key(number: int) -> jax.Array:
    return ckks.keys.key_from_bytes(bytes([number]) * 32)


@functools.cache
def circuit(**changes: object) -> BootstrappingCircuit:
    return bootstrapping_circuit(make_case(0, OPTIONS | changes, 0).parameters)


@functools.cache
def secret() -> ckks.SecretKey:
    return ckks.secret_key(key(1), circuit().parameters.params)


@functools.cache
def in_memory() -> BootstrappingKeys:
    return bootstrapping_keys(key(2), secret(), circuit())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("keys") / "keys"
    ckks.files.save_bootstrapping_keys(path, key(2), secret(), circuit().parameters)
    return path.read_bytes()


def read(path: Path, data: bytes, where: BootstrappingCircuit | None = None) -> BootstrappingKeys:
    path.write_bytes(data)
    return ckks.files.load_bootstrapping_keys(path, circuit() if where is None else where)


def equal(first: object, second: object) -> bool:
    same = jax.tree.structure(first) == jax.tree.structure(second)
    return same and all(
        a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


def test_the_file_holds_what_is_made_in_memory(written, tmp_path):
    found = read(tmp_path / "keys", written)
    assert equal(found, in_memory())
    sizes = [k.wire_bytes for k in (found.dense_to_sparse, found.sparse_to_dense)]
    count = 2 + len(found.evaluation.rotations) + 1
    frames = (count + 1) * (HEADER + CHECKSUM)
    assert len(written) == frames + sum(sizes) + found.evaluation.wire_bytes
    assert np.asarray(secret().coefficients).tobytes() not in written


def test_progress_is_told_key_by_key(written, tmp_path):
    total = 2 + len(circuit().parameters.manifest.exponents(circuit().parameters.params))
    expected = [(number, total) for number in range(1, total + 1)]
    seen: list[list[tuple[int, int]]] = [[], [], []]

    def note(place: int):
        return lambda *numbers: seen[place].append(numbers)

    assert equal(bootstrapping_keys(key(2), secret(), circuit(), progress=note(0)), in_memory())
    parameters = circuit().parameters
    ckks.files.save_bootstrapping_keys(tmp_path / "keys", key(2), secret(), parameters, progress=note(1))
    assert (tmp_path / "keys").read_bytes() == written
    ckks.files.load_bootstrapping_keys(tmp_path / "keys", circuit(), progress=note(2))
    # The two keys of the sparse secret are made, and read, together.
    assert seen[0] == seen[1] == expected
    assert seen[2] == expected[1:]


def test_one_key_is_in_memory_at_a_time(written, tmp_path):
    parameters = circuit().parameters
    largest = 2 * parameters.params.switching_key_bytes()
    assert parameters.key_bytes.memory > 6 * largest
    before, live = sum(array.nbytes for array in jax.live_arrays()), []

    def look(*numbers: int) -> None:
        live.append(sum(array.nbytes for array in jax.live_arrays()) - before)

    ckks.files.save_bootstrapping_keys(tmp_path / "keys", key(2), secret(), parameters, progress=look)
    assert max(live) < 2 * largest


def test_keys_for_the_circuit_between_bootstraps(tmp_path):
    manifest = ckks.keys.KeyManifest(rotations=(3,), level=1)
    parameters = circuit().parameters
    ckks.files.save_bootstrapping_keys(tmp_path / "keys", key(2), secret(), parameters, manifest)
    found = ckks.files.load_bootstrapping_keys(tmp_path / "keys", circuit())
    assert equal(found, bootstrapping_keys(key(2), secret(), circuit(), manifest))
    wanted = parameters.manifest | manifest
    held = {0: found.evaluation.relinearisation, **found.evaluation.rotations}
    assert {e: k.level for e, k in held.items()} == wanted.exponents(parameters.params)


@pytest.mark.parametrize("existing", [None, b"what was there"])
def test_an_interrupted_generation_leaves_nothing_half_written(tmp_path, existing):
    path = tmp_path / "keys"
    if existing is not None:
        path.write_bytes(existing)

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ckks.files.save_bootstrapping_keys(path, key(2), secret(), circuit().parameters, progress=interrupt)
    assert [p.name for p in tmp_path.iterdir()] == ([] if existing is None else ["keys"])
    assert existing is None or path.read_bytes() == existing


def test_what_cannot_be_made_leaves_no_file(tmp_path):
    path, parameters = tmp_path / "keys", circuit().parameters
    other = ckks.secret_key(key(1), ckks.insecure_parameters(32, 1, real=False))
    with pytest.raises(ValueError, match="from a secret for Parameters"):
        ckks.files.save_bootstrapping_keys(path, key(2), other, parameters)
    with pytest.raises(ValueError, match="cryptographic random key"):
        ckks.files.save_bootstrapping_keys(path, jnp.zeros(2, jnp.uint32), secret(), parameters)
    with pytest.raises(FileNotFoundError):
        ckks.files.save_bootstrapping_keys(tmp_path / "none" / "keys", key(2), secret(), parameters)
    with pytest.raises(FileNotFoundError):
        ckks.files.load_bootstrapping_keys(path, circuit())
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------


def containers(data: bytes) -> list[tuple[int, int]]:
    """[start, stop) of each key, by the lengths in their headers."""
    ranges, start = [], HEADER
    while start < len(data) - CHECKSUM:
        stop = start + HEADER + int.from_bytes(data[start + 120 : start + 128], "little") + CHECKSUM
        ranges.append((start, stop))
        start = stop
    return ranges


def assembled(header: bytes, keys: list[bytes]) -> bytes:
    """A set with every checksum right, and the length in its header."""
    sealed = [k[:-CHECKSUM] + hashlib.blake2b(k[:-CHECKSUM], digest_size=CHECKSUM).digest() for k in keys]
    header = header[:120] + sum(map(len, sealed)).to_bytes(8, "little")
    total = hashlib.blake2b(header + b"".join(k[-CHECKSUM:] for k in sealed), digest_size=CHECKSUM)
    return header + b"".join(sealed) + total.digest()


def taken_apart(data: bytes) -> tuple[bytes, list[bytes]]:
    return data[:HEADER], [data[start:stop] for start, stop in containers(data)]


def with_bytes(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def test_assembled_again_it_is_the_same(written):
    assert assembled(*taken_apart(written)) == written


def test_every_byte_counts(written, tmp_path):
    """A step that no length of a row divides, and all of the headers."""
    starts = [0, *(start for start, _ in containers(written))]
    places = {*range(0, len(written), 991), *(s + i for s in starts[:4] for i in range(HEADER))}
    for place in sorted(places):
        with pytest.raises(FormatError) as error:
            read(tmp_path / "keys", with_bytes(written, place, bytes([written[place] ^ 0x10])))
        assert str(error.value).endswith(".")


def test_any_other_length_is_refused(written, tmp_path):
    ends = [stop for _, stop in containers(written)]
    for length in (0, 8, HEADER - 1, HEADER, *ends, len(written) - 1):
        with pytest.raises(FormatError, match="cut short"):
            read(tmp_path / "keys", written[:length])
    with pytest.raises(FormatError, match="bytes follow the header"):
        read(tmp_path / "keys", written + bytes(1))


def test_lies_that_are_sealed_are_refused(written, tmp_path):
    header, keys = taken_apart(written)
    swapped = [keys[1], keys[0], *keys[2:]]
    other_secret = with_bytes(keys[3], 44, bytes(16))
    residue = with_bytes(keys[1], len(keys[1]) - CHECKSUM - 4, b"\xff\xff\xff\xff")
    less, more, one, three = (n.to_bytes(4, "little") for n in (len(keys) - 1, len(keys) + 1, 1, 3))
    cases = [
        ((with_bytes(header, 96, less), keys), "bytes follow the .* keys that are"),
        ((with_bytes(header, 96, more), keys), "ends too early"),
        ((with_bytes(header, 96, one), keys), "at most"),
        ((with_bytes(header, 100, three), keys), "secret of weight 3, .* for one of weight 2"),
        ((with_bytes(header, 63, b"\x01"), keys), "no use for"),
        ((with_bytes(header, 60, b"\x01"), keys), "no use for .level"),
        ((with_bytes(header, 12, bytes(4)), keys), "give those it was made with"),
        ((with_bytes(header, 44, bytes(16)), keys), "another secret key than the set"),
        ((header, swapped), "lies where a switching key of level 0"),
        ((header, [keys[0], *keys[2:]]), "lies where a switching key of level"),
        ((header, [*keys[:3], other_secret, *keys[4:]]), "of another secret key or kind"),
        ((header, [*keys[:3], keys[4], keys[3], *keys[5:]]), "follows that of"),
        ((header, [keys[0], residue, *keys[2:]]), "not below its prime"),
    ]
    for parts, reason in cases:
        with pytest.raises(FormatError, match=reason):
            read(tmp_path / "keys", assembled(*parts))


def test_no_bit_of_a_header_can_be_changed_and_sealed(written, tmp_path):
    """Of the set's own, of both keys of the sparse secret, and of two others: all but the set's length."""
    header, keys = taken_apart(written)
    for place in range(HEADER):
        bit = 1 << place % 8
        if place < 120:
            damaged = with_bytes(header, place, bytes([header[place] ^ bit]))
            with pytest.raises(FormatError):
                read(tmp_path / "keys", assembled(damaged, keys))
        for number in (0, 1, 2, 4):
            damaged = with_bytes(keys[number], place, bytes([keys[number][place] ^ bit]))
            with pytest.raises(FormatError):
                read(tmp_path / "keys", assembled(header, [*keys[:number], damaged, *keys[number + 1 :]]))


def test_the_keys_of_another_circuit_are_refused(written, tmp_path):
    deeper = circuit(scale_bits=28)
    assert deeper.parameters.params != circuit().parameters.params
    with pytest.raises(FormatError, match="give those it was made with"):
        read(tmp_path / "keys", written, deeper)
    denser = dataclasses.replace(circuit().parameters, hamming_weight=4)
    with pytest.raises(FormatError, match="weight 2, and the circuit is for one of weight 4"):
        read(tmp_path / "keys", written, dataclasses.replace(circuit(), parameters=denser))
    fewer = circuit(minimum_keys=True)
    few = tmp_path / "few"
    ckks.files.save_bootstrapping_keys(few, key(2), secret(), fewer.parameters)
    assert few.stat().st_size < len(written)
    ckks.files.load_bootstrapping_keys(few, fewer)
    with pytest.raises(FormatError, match=r"of another circuit: a bootstrap needs \d+ more evaluation keys"):
        ckks.files.load_bootstrapping_keys(few, circuit())


def test_files_of_other_kinds_are_told_apart(written, tmp_path):
    params, path = circuit().parameters.params, tmp_path / "keys"
    path.write_bytes(written)
    with pytest.raises(FormatError, match="a set of bootstrapping keys, which load_bootstrapping_keys reads"):
        ckks.load(path, params)
    with pytest.raises(FormatError, match="an object that load reads"):
        ckks.files.load_secret_key(path)
    ckks.save(path, in_memory().evaluation)
    with pytest.raises(FormatError, match="holds a set of evaluation keys and no bootstrapping keys"):
        ckks.files.load_bootstrapping_keys(path, circuit())
    ckks.save(path, in_memory().sparse_to_dense)
    with pytest.raises(FormatError, match="holds a switching key and no bootstrapping keys"):
        ckks.files.load_bootstrapping_keys(path, circuit())
    ckks.files.save_secret_key(path, secret())
    with pytest.raises(FormatError, match="a secret key, which load_secret_key reads"):
        ckks.files.load_bootstrapping_keys(path, circuit())


def test_the_sparse_secret_stays_at_the_lowest_modulus(written):
    """Its one key in the file is modulo q_0 and one prime: a key at a higher level would be insecure."""
    _, keys = taken_apart(written)
    small = encapsulation_parameters(circuit().parameters.params)
    assert keys[0][12:44] == small.fingerprint
    assert len(keys[0]) == HEADER + CHECKSUM + small.switching_key_bytes()
