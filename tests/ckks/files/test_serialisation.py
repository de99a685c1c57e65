"""Bytes and files: the same object back, the same bytes for ever, and a sentence for anything else."""

import dataclasses
import functools
import hashlib
import io
import os
import struct
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhejax import ckks
from fhejax.ckks.files import FormatError
from fhejax.ckks.files.parameter_format import LARGEST_BYTES, decode_parameters, encode_parameters
from fhejax.ckks.identity import switching_identity
from fhejax.ckks.keys.generation import expand_seed

PARAMS = ckks.insecure_parameters(16, 2)
OTHERS = ckks.insecure_parameters(32, 2)
HEADER, CHECKSUM = 128, 32


def key(number: int) -> jax.Array:
    return ckks.keys.key_from_bytes(bytes([number]) * 32)


def plaintext(params: ckks.Parameters = PARAMS, level: int = 1, batch: tuple[int, ...] = (2, 1)):
    """Small integers as coefficients, without any rounding that another machine could do otherwise."""
    moduli = params.level_moduli(level)
    numbers = np.arange(np.prod(batch) * params.ring.degree).reshape(*batch, 1, params.ring.degree)
    residues = np.broadcast_to(numbers, (*batch, len(moduli), params.ring.degree)).astype(np.uint32)
    return ckks.Plaintext(jnp.asarray(residues), params, level, params.scales[level], "coefficient")


def in_evaluation(plain: ckks.Plaintext) -> ckks.Plaintext:
    return dataclasses.replace(plain, domain="evaluation")


@functools.cache
def objects() -> dict[str, object]:
    """One of each type, from fixed seeds."""
    secret = ckks.secret_key(key(1), PARAMS)
    plain = in_evaluation(plaintext())
    manifest = ckks.keys.KeyManifest(True, (1, 3), level={"relinearise": 2, 1: 0, 3: 1})
    keys = ckks.keys.evaluation_keys_for(key(2), secret, manifest)
    ciphertext = ckks.encrypt(key(3), secret, plain)
    return {
        "parameters": PARAMS,
        "plaintext": plaintext(),
        "ciphertext": ciphertext,
        "product": ckks.evaluation.square_tensor(ciphertext),
        "seeded ciphertext": ckks.encryption.encrypt_seeded(key(4), secret, plain),
        "public key": ckks.public_key(key(5), secret),
        "switching key": keys.rotations[5],
        "evaluation keys": keys,
    }


NAMES = list(objects())


@functools.cache
def written(name: str) -> bytes:
    return ckks.files.to_bytes(objects()[name])


def read(data: bytes, params: ckks.Parameters | None = PARAMS) -> object:
    return ckks.files.from_bytes(data, params, allow_insecure=True)


def equal(first: object, second: object) -> bool:
    if isinstance(first, ckks.Parameters):
        return dataclasses.astuple(first) == dataclasses.astuple(second)
    same = jax.tree.structure(first) == jax.tree.structure(second)
    return same and all(
        a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
        for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(name):
    result = read(written(name))
    assert equal(result, objects()[name])
    assert ckks.files.to_bytes(result) == written(name)
    assert equal(read(bytearray(written(name))), result)
    assert equal(read(memoryview(written(name))), result)


GOLDEN = {
    "parameters": "321dcfd20c4d3dcf75d1b5b852ebcdce",
    "plaintext": "0935771d5069790324965de57a7e9b64",
    "ciphertext": "16193aa8f8c1ba7e7cbbb7484c672bb0",
    "product": "cac8e2234998b436c623e244263532b8",
    "seeded ciphertext": "bb6be3651e06ae1f040ab06c47ace8cc",
    "public key": "b556571c813b74e37d960899d1d1f3ac",
    "switching key": "d6b6b92d65f4fa75245e3dbccf068852",
    "evaluation keys": "b0451282d057f16c45b30ea8e19c8ddb",
    "expansion": "ce8bac4374598b6e540969391fdd04b4",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_format_does_not_change_silently(name):
    """Whoever changes these bytes has to raise the version, or cannot read what others have stored.

    Unless the samplers of secrets and errors have changed, which may, or the choice of primes.
    """
    assert hashlib.blake2b(written(name), digest_size=16).hexdigest() == GOLDEN[name]


def test_the_expansion_of_seeds_does_not_change_silently():
    """A stored seed has to stand for the same residues for ever."""
    mask = expand_seed(jnp.arange(8, dtype=jnp.uint32), PARAMS.moduli, (2,), 16)
    found = hashlib.blake2b(np.asarray(mask).astype("<u4").tobytes(), digest_size=16).hexdigest()
    assert found == GOLDEN["expansion"]


def test_lengths_are_those_of_the_formula():
    degree, limbs = 16, len(PARAMS.level_moduli(1))
    frame = HEADER + CHECKSUM
    assert len(written("plaintext")) == frame + 2 * 4 * limbs * degree
    assert len(written("ciphertext")) == frame + 2 * 2 * 4 * limbs * degree
    assert len(written("product")) == frame + 2 * 3 * 4 * limbs * degree
    assert len(written("seeded ciphertext")) == frame + 32 + 2 * 4 * limbs * degree
    assert len(written("public key")) == frame + 32 + 4 * len(PARAMS.moduli) * degree
    assert len(written("switching key")) == frame + PARAMS.switching_key_bytes(0)
    assert len(written("evaluation keys")) == frame + 3 * frame + objects()["evaluation keys"].wire_bytes


def test_what_is_read_works():
    """Encryption under a public key that was read, and a product by evaluation keys that were."""
    secret = ckks.secret_key(key(1), PARAMS)
    values = np.linspace(-1, 1, PARAMS.slots)
    ciphertext = ckks.encrypt(ckks.random_key(), read(written("public key")), ckks.encode(PARAMS, values))
    result = ckks.square(read(written("evaluation keys")), ciphertext)
    found = ckks.decode(ckks.decrypt(secret, read(ckks.files.to_bytes(result))))
    assert abs(np.asarray(found) - values**2).max() < 1e-3
    seeded = ckks.encryption.expand(read(written("seeded ciphertext")))
    assert equal(seeded, ckks.encryption.expand(objects()["seeded ciphertext"]))


# ---------------------------------------------------------------------------------------------------------


def sealed(data: bytes) -> bytes:
    """With the checksums that belong to the content, so that what lies behind them is reached."""
    if len(data) < HEADER + CHECKSUM:
        return data
    body = bytearray(data[:-CHECKSUM])
    sums = []
    if data[10] == 7:
        for start, stop in members():
            if stop <= len(body):
                inner = hashlib.blake2b(body[start : stop - CHECKSUM], digest_size=CHECKSUM).digest()
                body[stop - CHECKSUM : stop] = inner
                sums.append(inner)
        content = bytes(body[:HEADER]) + b"".join(sums)
    else:
        content = bytes(body)
    return bytes(body) + hashlib.blake2b(content, digest_size=CHECKSUM).digest()


@functools.cache
def members() -> list[tuple[int, int]]:
    """[start, stop) of each container among the evaluation keys."""
    ranges, start = [], HEADER
    for level in (2, 0, 1):
        stop = start + HEADER + PARAMS.switching_key_bytes(level) + CHECKSUM
        ranges.append((start, stop))
        start = stop
    return ranges


FIELDS = {  # offset, bytes
    "magic": (0, 8),
    "version": (8, 2),
    "kind": (10, 1),
    "domain": (11, 1),
    "fingerprint": (12, 32),
    "key id": (44, 16),
    "level": (60, 2),
    "components": (62, 1),
    "axes": (63, 1),
    "mantissa": (64, 24),
    "exponent": (88, 4),
    "automorphism": (92, 4),
    "first axis": (96, 4),
    "second axis": (100, 4),
    "last axis": (116, 4),
    "payload": (120, 8),
}
INTERESTING = st.one_of(
    st.integers(0, 9), st.sampled_from([2**k + d for k in range(3, 64) for d in (-1, 0, 1)]), st.integers(0)
)
POSITION = st.integers(0, 2**20)


@st.composite
def mutations(draw, name: str) -> bytes:
    """The bytes of an object with a few things done to them, resealed or not."""
    data = bytearray(written(name))
    for _ in range(draw(st.integers(1, 2))):
        data = _MUTATIONS[draw(st.sampled_from(sorted(_MUTATIONS)))](draw, data)
    return sealed(bytes(data)) if draw(st.booleans()) else bytes(data)


def flip(draw, data: bytearray) -> bytearray:
    if data:
        data[draw(POSITION) % len(data)] ^= 1 << draw(st.integers(0, 7))
    return data


def cut(draw, data: bytearray) -> bytearray:
    return data[: draw(POSITION) % (len(data) + 1)]


def remove(draw, data: bytearray) -> bytearray:
    start = draw(POSITION) % (len(data) + 1)
    del data[start : start + draw(st.integers(1, 200))]
    return data


def extend(draw, data: bytearray) -> bytearray:
    return data + draw(st.binary(min_size=1, max_size=80))


def lie(draw, data: bytearray) -> bytearray:
    """About a field of the header, or of that of an inner container."""
    offset, size = FIELDS[draw(st.sampled_from(sorted(FIELDS)))]
    starts = [0, *(start for start, _ in members())] if len(data) > 10 and data[10] == 7 else [0]
    offset += draw(st.sampled_from(starts))
    data[offset : offset + size] = (draw(INTERESTING) % 256**size).to_bytes(size, "little")
    return data


def overwrite(draw, data: bytearray) -> bytearray:
    start, new = draw(POSITION) % (len(data) + 1), draw(st.binary(min_size=1, max_size=40))
    data[start : start + len(new)] = new
    return data


def splice(draw, data: bytearray) -> bytearray:
    """The header of one object and the rest of another."""
    other = written(draw(st.sampled_from(NAMES)))
    return (
        data[:HEADER] + other[HEADER:] if draw(st.booleans()) else bytearray(other[:HEADER]) + data[HEADER:]
    )


_MUTATIONS = {f.__name__: f for f in (flip, cut, remove, extend, lie, overwrite, splice)}


@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_do_harm(name):
    """500 for each type: a sentence, or an object whose bytes these are."""
    counts = {"refused": 0, "read": 0}

    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    @given(mutations(name))
    def check(data: bytes) -> None:
        try:
            result = read(data)
        except FormatError as error:
            assert str(error).endswith(".")
            counts["refused"] += 1
        else:
            assert ckks.files.to_bytes(result) == data
            counts["read"] += 1

    check()
    assert counts["refused"] > 250


@settings(max_examples=2000, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=400))
@example(b"")
@example(b"FHEJAX\r\n")
def test_noise_is_refused(data):
    with pytest.raises(FormatError):
        read(data)


@pytest.mark.parametrize("name", NAMES)
def test_every_byte_counts(name):
    """No byte of a file can be changed without notice."""
    data = written(name)
    step = max(1, len(data) // 500)
    for position in range(0, len(data), step):
        damaged = bytearray(data)
        damaged[position] ^= 0x10
        with pytest.raises(FormatError):
            read(bytes(damaged))


def with_field(data: bytes, field: str, value: int, start: int = 0) -> bytes:
    offset, size = FIELDS[field]
    offset += start
    return sealed(data[:offset] + value.to_bytes(size, "little") + data[offset + size :])


@pytest.mark.parametrize("name", NAMES[1:])
def test_lies_about_lengths_take_no_memory(name):
    """A terabyte is declared, consistently or not, and refused before anything is allocated."""
    lies = [("first axis", 2**31), ("payload", 2**40), ("payload", 2**64 - 1), ("level", 2)]
    tracemalloc.start()
    for field, value in lies:
        data = with_field(written(name), field, value)
        tracemalloc.clear_traces()
        with pytest.raises(FormatError):
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    both = with_field(with_field(written("plaintext"), "first axis", 2**31 - 1), "second axis", 1)
    limbs = len(PARAMS.level_moduli(1))
    both = with_field(both, "payload", (2**31 - 1) * limbs * 16 * 4)
    with pytest.raises(FormatError, match="bytes follow the header of the plaintext, which declares"):
        read(both)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("name", NAMES[1:])
def test_other_parameters_are_refused(name):
    with pytest.raises(FormatError, match="give those it was made with"):
        read(written(name), OTHERS)
    with pytest.raises(FormatError, match="read without parameters"):
        read(written(name), None)


@pytest.mark.parametrize("kind", range(256))
def test_no_type_passes_for_another(kind):
    for name in NAMES:
        data = written(name)
        if kind != data[10]:
            with pytest.raises(FormatError):
                read(with_field(data, "kind", kind))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("parameters", "evaluation keys")])
def test_residues_that_are_not_below_their_prime_are_refused(name):
    """The last residue of a payload is one of the last limb."""
    obj, data = objects()[name], bytearray(written(name))
    moduli = {
        "public key": PARAMS.level_moduli(PARAMS.depth),
        "switching key": PARAMS.special,
    }.get(name, PARAMS.level_moduli(getattr(obj, "level", 0)))
    place = slice(len(data) - CHECKSUM - 4, len(data) - CHECKSUM)
    data[place] = (moduli[-1] - 1).to_bytes(4, "little")
    read(sealed(bytes(data)))
    for value in (moduli[-1], 2**32 - 1):
        data[place] = value.to_bytes(4, "little")
        with pytest.raises(FormatError, match="not below its prime"):
            read(sealed(bytes(data)))


def test_scales_that_could_not_be_computed_with_are_refused():
    """2**(2**31) as an exact number would take all memory."""
    data = written("ciphertext")
    for exponent in (2**31 - 1, 2**20, 2**32 - 2**20):
        with pytest.raises(FormatError, match="no scale, or one"):
            read(with_field(data, "exponent", exponent))
    for exponent in (2**12, 2**32 - 2**12):
        with pytest.raises(FormatError, match="names a scale of"):
            read(with_field(data, "exponent", exponent))
    for mantissa in (0, 2, 2**127, 2**130 + 1):
        with pytest.raises(FormatError, match="no scale, or one that is not in lowest terms"):
            read(with_field(data, "mantissa", mantissa))


def test_the_reasons_are_named():
    data, keys = written("ciphertext"), written("evaluation keys")
    cases = [
        (data[:100], r"ends too early: 128 more bytes were expected and 100 are left"),
        (data[:-1], r"bytes follow the header of the ciphertext, which declares 512"),
        (data + b"\0", r"bytes follow the header"),
        (b"PK" + data[2:], r"begins with b'PKEJAX\\r\\n' and not with b'FHEJAX\\r\\n'"),
        (with_field(data, "version", 1), r"version 1 of the format, and this library reads version 2"),
        (with_field(data, "kind", 99), r"kind 99"),
        (with_field(data, "kind", 0), r"kind 0"),
        (with_field(data, "domain", 3), r"domain 3"),
        (with_field(data, "domain", 0), r"no domain"),
        (with_field(data, "level", 3), r"level 3, where the levels are 0 to 2"),
        (with_field(data, "components", 1), r"1 components, where 2 or 3"),
        (with_field(data, "automorphism", 5), r"a field that it has no use for \(automorphism\)"),
        (with_field(data, "axes", 9), r"no use for \(batch\)"),
        (with_field(data, "last axis", 1), r"no use for \(batch\)"),
        (with_field(data, "first axis", 0), r"a batch of shape \(0, 1\)"),
        (with_field(data, "payload", 4), r"declares 4 bytes of payload, where its header makes 512"),
        (data[:200] + bytes([data[200] ^ 1]) + data[201:], r"checksum does not fit"),
        (with_field(keys, "automorphism", 7, members()[1][0]), r"automorphism 7 follows that of 0"),
        (with_field(keys, "automorphism", 5, members()[2][0]), r"automorphism 5 follows that of 5"),
        (with_field(keys, "key id", 1, members()[1][0]), r"of another secret key"),
        (with_field(keys, "first axis", 2), r"follow the 2 keys that are declared"),
        (with_field(keys, "first axis", 4), r"ends too early: 128 more bytes"),
        (with_field(keys, "payload", 8), r"declares 8 bytes of payload"),
        (with_field(keys, "first axis", 2**20), r"at most 32 exist"),
        (sealed(keys[slice(*members()[0])]), r"one of a set of evaluation keys"),
    ]
    for damaged, reason in cases:
        with pytest.raises(FormatError, match=reason):
            read(damaged)


def test_keys_of_parameters_without_key_switching_are_refused():
    params = ckks.insecure_parameters(16, 2, key_switching=False)
    empty = ckks.evaluation_keys(key(9), ckks.secret_key(key(8), params))
    assert equal(read(ckks.files.to_bytes(empty), params), empty)
    smuggled = dataclasses.replace(objects()["switching key"], params=params)
    with pytest.raises(ValueError, match="without key switching"):
        ckks.files.to_bytes(smuggled)


# ---------------------------------------------------------------------------------------------------------


def test_a_secret_key_cannot_be_written_with_the_rest(tmp_path):
    secret = ckks.secret_key(key(1), PARAMS)
    for write in (ckks.files.to_bytes, functools.partial(ckks.save, tmp_path / "key")):
        with pytest.raises(TypeError, match=r"SecretKey was to be written.*save_secret_key"):
            write(secret)
    keys = objects()["evaluation keys"]
    for smuggled in (
        dataclasses.replace(keys, relinearisation=secret),
        dataclasses.replace(keys, rotations={5: secret}),
    ):
        with pytest.raises(TypeError, match="SecretKey was to be written among evaluation keys"):
            ckks.save(tmp_path / "keys", smuggled)
    assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_is_not_written():
    ciphertext = objects()["ciphertext"]
    with pytest.raises(TypeError, match="list was to be written"):
        ckks.files.to_bytes([ciphertext])
    with pytest.raises(ValueError, match="its shape is"):
        ckks.files.to_bytes(ciphertext.replace(data=ciphertext.data[..., :1, :]))
    with pytest.raises(ValueError, match="not below its prime"):
        ckks.files.to_bytes(ciphertext.replace(data=ciphertext.data.at[0, 0, 0, 1, 3].set(2**31)))
    with pytest.raises(ValueError, match="int32 was to be written"):
        ckks.files.to_bytes(ciphertext.replace(data=ciphertext.data.astype(jnp.int32)))
    with pytest.raises(ValueError, match="a batch of shape"):
        ckks.files.to_bytes(ciphertext.replace(data=ciphertext.data[:0]))
    with pytest.raises(ValueError, match="a batch of shape"):
        ckks.files.to_bytes(
            ciphertext.replace(data=ciphertext.data.reshape(2, *[1] * 8, *ciphertext.data.shape[2:]))
        )
    with pytest.raises(ValueError, match="a scale of"):
        ckks.files.to_bytes(ciphertext.replace(scale=ckks.parameters.Scale.of(2.0**900)))
    with pytest.raises(ValueError, match="a key id of 32 bytes"):
        ckks.files.to_bytes(ciphertext.replace(key_id=jnp.zeros((2, 4), jnp.uint32)))
    with pytest.raises(ValueError, match="inside of a traced function"):
        jax.jit(lambda x: ckks.files.to_bytes(x) and x)(ciphertext)
    with pytest.raises(TypeError, match="from_bytes was given str"):
        ckks.files.from_bytes("FHEJAX", PARAMS)


def test_batches_of_any_shape():
    for batch in ((), (1,), (3,), (1, 2, 1, 1, 1, 2)):
        plain = plaintext(batch=batch)
        assert equal(read(ckks.files.to_bytes(plain)), plain)


# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_files_hold_the_same_bytes(name, tmp_path):
    path = tmp_path / "object"
    ckks.save(path, objects()[name])
    assert path.read_bytes() == written(name)
    assert equal(ckks.load(path, PARAMS, allow_insecure=True), objects()[name])
    assert [p.name for p in tmp_path.iterdir()] == ["object"]
    path.write_bytes(written(name)[:-1])
    with pytest.raises(FormatError):
        ckks.load(str(path), PARAMS, allow_insecure=True)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "keys"
    ckks.save(path, objects()["evaluation keys"])
    secret = ckks.secret_key(key(1), PARAMS)

    def interrupted():
        yield 0, objects()["evaluation keys"].relinearisation
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ckks.files.save_evaluation_keys(path, PARAMS, secret.key_id, interrupted())
    assert path.read_bytes() == written("evaluation keys")
    assert len(list(tmp_path.iterdir())) == 1


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        ckks.load(tmp_path / "nothing", PARAMS)
    (tmp_path / "empty").touch()
    with pytest.raises(FormatError, match="ends too early: 128 more bytes were expected and 0 are left"):
        ckks.load(tmp_path / "empty", PARAMS)
    with pytest.raises(FormatError, match="the file ends too early"):
        ckks.files.load_secret_key(tmp_path / "empty")


def test_evaluation_keys_are_written_and_read_one_by_one(tmp_path):
    """As they are generated, with the same bytes as all at once."""
    secret = ckks.secret_key(key(1), PARAMS)
    manifest = ckks.keys.KeyManifest(True, (1, 3), level={"relinearise": 2, 1: 0, 3: 1})
    stream = ckks.keys.generate_evaluation_keys(key(2), secret, manifest)
    ckks.files.save_evaluation_keys(tmp_path / "keys", PARAMS, secret.key_id, stream)
    assert (tmp_path / "keys").read_bytes() == written("evaluation keys")
    seen = []
    found = ckks.load(tmp_path / "keys", PARAMS, progress=lambda *numbers: seen.append(numbers))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert equal(found, objects()["evaluation keys"])


def test_only_one_key_is_in_memory_at_a_time(tmp_path):
    params = ckks.insecure_parameters(4096, 5)
    size = params.switching_key_bytes()
    digits, limbs = len(params.digit_ranges(5)), len(params.moduli) + len(params.special)
    seed = jnp.zeros(8, jnp.uint32)
    data, nobody = jnp.zeros((digits, 2, limbs, 4096), jnp.uint32), seed[:4]
    exponents = [0, *(pow(5, k, params.ring.root_order) for k in range(1, 9))]
    tracemalloc.start()
    keys = (
        (e, ckks.keys.SwitchingKey(data, seed, switching_identity(nobody, e), params, 5))
        for e in sorted(exponents)
    )
    ckks.files.save_evaluation_keys(tmp_path / "keys", params, nobody, keys)
    assert tracemalloc.get_traced_memory()[1] < 3 * size
    tracemalloc.stop()
    assert (tmp_path / "keys").stat().st_size > 9 * size


def test_keys_out_of_place_are_not_written(tmp_path):
    keys = objects()["evaluation keys"]
    one, other = keys.rotations[5], dataclasses.replace(keys.rotations[5], params=OTHERS)
    two = dataclasses.replace(one, key_id=switching_identity(keys.key_id, 25))
    for pairs, reason in (
        ([(5, one), (5, one)], "automorphism 5 was to be written after that of 5"),
        ([(25, two), (5, one)], "automorphism 5 was to be written after that of 25"),
        ([(3, one)], "automorphism 3 was"),
        ([(64, one)], "automorphism 64 was"),
        ([(5, other)], "a key of Parameters"),
        ([(5, two)], "made for another use"),
        ([(0, one)], "made for another use"),
    ):
        with pytest.raises(ValueError, match=reason):
            ckks.files.save_evaluation_keys(tmp_path / "keys", PARAMS, keys.key_id, iter(pairs))
    for wrong in ([5, 25], np.ones(3), np.ones((2, 3)), [(5, one, 1)], [("5", one)], keys.rotations):
        with pytest.raises(TypeError, match="pairs of an exponent and a SwitchingKey, from generate"):
            ckks.files.save_evaluation_keys(tmp_path / "keys", PARAMS, keys.key_id, wrong)
    for wrong in (None, "id", keys):
        with pytest.raises(TypeError, match="was to be written as residues or an id"):
            ckks.files.save_evaluation_keys(tmp_path / "keys", PARAMS, wrong, [])
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------


def test_a_secret_key_has_a_file_of_its_own(tmp_path):
    secret, path = ckks.secret_key(key(1), PARAMS), tmp_path / "secret"
    path.write_text("somebody could read this")
    path.chmod(0o644)
    mask = os.umask(0)
    try:
        ckks.files.save_secret_key(path, secret)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert equal(ckks.files.load_secret_key(path), secret)
    with pytest.raises(FormatError, match="a secret key, which load_secret_key reads"):
        ckks.load(path, PARAMS)
    ckks.save(tmp_path / "public", objects()["public key"])
    with pytest.raises(FormatError, match="it is an object that load reads"):
        ckks.files.load_secret_key(tmp_path / "public")
    with pytest.raises(TypeError, match="save_secret_key was given a PublicKey as secret"):
        ckks.files.save_secret_key(path, objects()["public key"])
    wrong = secret.replace(coefficients=secret.coefficients * 2)
    with pytest.raises(ValueError, match="not -1, 0 and 1"):
        ckks.files.save_secret_key(path, wrong)
    assert equal(ckks.files.load_secret_key(path), secret)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_secret_key_that_others_may_read_is_loaded_with_a_warning(tmp_path):
    secret, path = ckks.secret_key(key(1), PARAMS), tmp_path / "secret"
    ckks.files.save_secret_key(path, secret)
    for mode in (0o640, 0o604, 0o660, 0o644, 0o620, 0o602):
        path.chmod(mode)
        message = rf"open to others than its owner: its mode is {mode:04o}, and 0600 is needed. Run chmod 600"
        with pytest.warns(UserWarning, match=message) as found:
            assert equal(ckks.files.load_secret_key(path), secret)
        assert found[0].filename == __file__
    for mode in (0o600, 0o400, 0o700):
        path.chmod(mode)
        assert equal(ckks.files.load_secret_key(path), secret)


def test_damaged_secret_keys_are_refused(tmp_path):
    path = tmp_path / "secret"
    ckks.files.save_secret_key(path, ckks.secret_key(key(1), PARAMS))
    good = path.read_bytes()

    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        mutate = _MUTATIONS[data.draw(st.sampled_from(["flip", "cut", "remove", "extend", "overwrite"]))]
        damaged = bytes(mutate(data.draw, bytearray(good)))
        if data.draw(st.booleans()):
            damaged = damaged[:-32] + hashlib.blake2b(damaged[:-32], digest_size=32).digest()
        path.write_bytes(damaged)
        try:
            found = ckks.files.load_secret_key(path)
        except FormatError:
            return
        ckks.files.save_secret_key(path, found)
        assert path.read_bytes() == damaged

    check()
    for value in (2, 128, 255 - 1):
        body = good[: -32 - 1] + bytes([value])
        path.write_bytes(body + hashlib.blake2b(body, digest_size=32).digest())
        with pytest.raises(FormatError, match="not -1, 0 and 1"):
            ckks.files.load_secret_key(path)


# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        ckks.Parameters.for_depth(2, slots=4096),
        ckks.Parameters.for_depth(3, slots=4096, precision_bits=30, real=False, security=192),
        ckks.Parameters.for_depth(4, slots=1024, precision_bits=40),
        ckks.preset("real-n14-128bit-depth5-scale40"),
        ckks.preset("complex-n16-128bit-depth24-scale55"),
        ckks.insecure_parameters(64, 7, 35, rational=True),
        ckks.insecure_parameters(64, 0),
        ckks.insecure_parameters(64, 3, key_switching=False, digit_size=9),
    ],
    ids=lambda params: f"{params.ring.degree}-{params.depth}-{params.security}",
)
def test_parameters_come_back_field_by_field(params):
    data = ckks.files.to_bytes(params)
    assert equal(ckks.files.from_bytes(data, allow_insecure=params.security == 0), params)
    assert ckks.files.from_bytes(data, params, allow_insecure=True) == params
    assert len(data) <= LARGEST_BYTES


def test_insecure_parameters_are_not_read_by_accident():
    with pytest.raises(FormatError, match=r"made with insecure=True \(allow_insecure=True would"):
        ckks.files.from_bytes(written("parameters"))
    with pytest.raises(FormatError, match="were expected"):
        read(written("parameters"), OTHERS)


def altered(params: ckks.Parameters, form: str, offset: int, *values: int) -> bytes:
    data = bytearray(encode_parameters(params))
    struct.pack_into(form, data, offset, *values)
    return bytes(data)


def test_parameters_that_cannot_be_are_refused():
    """Whoever writes them knows how to name and seal them; what counts is what they say."""
    params = ckks.Parameters.for_depth(2, slots=4096)
    moduli, levels = 16, 16 + 4 * (len(params.moduli) + len(params.special))
    scales = levels + 4 * len(params.levels)
    first, second = params.moduli[:2]
    cases = [
        (altered(params, "<I", 0, 2048), "at most 53 are secure.*parameters were altered"),
        (altered(params, "<I", 0, 4095), "a ring of degree 4095"),
        (altered(params, "<I", 0, 0), "a ring of degree 0"),
        (altered(params, "<B", 4, 2), "does not add up"),
        (altered(params, "<B", 5, 2), "does not add up"),
        (altered(params, "<B", 5, 1), "made with insecure=True"),
        (altered(params, "<H", 6, 256), "name a security of 256 bits, and ring and modulus reach 128"),
        (altered(params, "<H", 6, 64), "name a security of 64 bits, and ring and modulus reach 128"),
        (altered(params, "<H", 6, 0), "name a security of 0 bits, and ring and modulus reach 128"),
        (altered(params, "<H", 8, 0), "digit_size=0"),
        (altered(params, "<H", 8, 513), "digit_size=513"),
        (altered(params, "<H", 8, 2), "every digit is at most P"),
        (altered(params, "<H", 10, 600), "does not add up"),
        (altered(params, "<H", 10, len(params.moduli) + 1), "does not add up"),
        (altered(params, "<I", moduli, first - params.ring.root_order), "the modulus"),
        (altered(params, "<I", moduli, 1), "the modulus 1 "),
        (altered(params, "<I", moduli, second), "a prime twice"),
        (altered(params, "<I", moduli, 0), "the modulus 0 "),
        (altered(params, "<HH", levels, 0, 0), "without a level, or with one without primes"),
        (altered(params, "<HH", levels, 2, 1), "without a level, or with one without primes"),
        (altered(params, "<HH", levels, 0, 9), "a level beyond"),
        (altered(params, "<HH", levels, *params.limb_range(1)), "not larger than the one below"),
        (altered(params, "<i", scales + 24, 2**31 - 1), "a scale of"),
        (altered(params, "<i", scales + 24, -(2**31)), "a scale of"),
        (altered(params, "<Q", scales, 2), "a scale of"),
        (b"", "take 0 bytes"),
        (bytes(16), "a ring of degree 0"),
    ]
    for data, reason in cases:
        with pytest.raises(FormatError, match=reason):
            decode_parameters(data)
    insecure = altered(ckks.insecure_parameters(64, 1), "<B", 5, 0)  # whose mark was taken away
    with pytest.raises(FormatError, match="128-bit security was asked for at ring degree 64"):
        decode_parameters(insecure, allow_insecure=True)
    assert equal(decode_parameters(encode_parameters(params)), params)


def test_a_read_that_gives_fewer_bytes_than_the_file_has():
    """A stream that ends while it is read, such as a file that is cut at that moment."""
    from fhejax.ckks.files.container import Source

    source = Source(io.BytesIO(b"abc"), 10)
    with pytest.raises(FormatError, match="5 more bytes were expected"):
        source.read(5)
