"""Bytes and files: parameters, plaintexts, ciphertexts, public, switching and evaluation keys.

The format is described in `wire_format`. Of keys and seeded ciphertexts the seed travels in place of
the uniform half; a key is expanded when it is read. Nothing here can write a secret key but
`save_secret_key`, into a file of its own kind that only its owner may read.
"""

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import jax

from fhejax.ckks.files.atomic_file import replaced
from fhejax.ckks.files.container import (
    CHECKSUM_BYTES,
    DOCUMENTS,
    HEADER,
    FormatError,
    Header,
    Kind,
    Source,
    check_checksum,
    checksum,
    read_payload,
    unpack_header,
)
from fhejax.ckks.files.object_format import Part, build_object, pack_arrays, pack_object, words
from fhejax.ckks.files.object_format import key_id as read_key_id
from fhejax.ckks.files.parameter_format import LARGEST_BYTES, decode_parameters, encode_parameters
from fhejax.ckks.identity import switching_identity
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    Progress,
    PublicKey,
    SecretKey,
    SeededCiphertext,
    SwitchingKey,
)

Serialisable = (
    Parameters | Plaintext | Ciphertext | SeededCiphertext | PublicKey | SwitchingKey | EvaluationKeys
)


def to_bytes(obj: Serialisable) -> bytes:
    """An object as bytes; equal objects have equal bytes.

    Args:
        obj: parameters, a plaintext, a ciphertext (seeded or not), a public, switching or evaluation key.

    Raises:
        TypeError: any other object, a secret key above all.
        ValueError: arrays being traced, or that do not fit the parameters, level and domain.
    """
    stream = io.BytesIO()
    _write(stream, obj)
    return stream.getvalue()


def from_bytes(
    data: bytes,
    params: Parameters | None = None,
    *,
    allow_insecure: bool = False,
    progress: Progress | None = None,
) -> Serialisable:
    """The object that `to_bytes` made, after checking every length, field, residue and checksum.

    Args:
        data: any bytes; nothing in them is trusted, and memory beyond theirs is taken for seeds alone.
        params: of the object; needed for all but parameters, which must be equal to them if given.
        allow_insecure: accept parameters without security, which are for tests.
        progress: called with (keys read, keys in all) after each of a set of evaluation keys.

    Raises:
        FormatError: whatever is wrong with the bytes, or with their being read under these parameters.
        TypeError: no bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"from_bytes was given {type(data).__name__}; it reads bytes, and load reads a file.")
    return _read(Source(io.BytesIO(data), memoryview(data).nbytes), params, allow_insecure, progress)


def save(path: str | os.PathLike, obj: Serialisable) -> None:
    """Write an object to a file, which appears whole or not at all; evaluation keys one after another.

    Errors as `to_bytes`, and OSError.
    """
    with replaced(Path(path), 0o666) as stream:
        _write(stream, obj)


def load(
    path: str | os.PathLike,
    params: Parameters | None = None,
    *,
    allow_insecure: bool = False,
    progress: Progress | None = None,
) -> Serialisable:
    """Read what `save` wrote, evaluation keys one after another. Arguments and errors as `from_bytes`."""
    with opened(path) as source:
        return _read(source, params, allow_insecure, progress)


def save_evaluation_keys(
    path: str | os.PathLike,
    params: Parameters,
    key_id: jax.Array,
    keys: Iterable[tuple[int, SwitchingKey]],
) -> None:
    """Write evaluation keys as they are made, so that one of them is in memory at a time.

    Args:
        path: of the file, which `load` reads as `EvaluationKeys`.
        params: of the keys.
        key_id: of the secret key: `secret.key_id`.
        keys: (exponent, key) in ascending order, from `generate_evaluation_keys`; exponent 0 is the
            relinearisation key.

    Raises:
        ValueError: exponents that do not ascend, or keys of other parameters.
    """
    with replaced(Path(path), 0o666) as stream:
        _write_evaluation_keys(stream, params, key_id, keys)


@contextlib.contextmanager
def opened(path: str | os.PathLike) -> Iterator[Source]:
    """The bytes of a file."""
    with Path(path).open("rb") as stream:
        yield Source(stream, os.fstat(stream.fileno()).st_size)


def _write(stream: BinaryIO, obj: Serialisable) -> None:
    if isinstance(obj, SecretKey):
        raise TypeError(
            "a SecretKey was to be written where everything else is, to be sent away by mistake; "
            "save_secret_key(path, secret) writes it to a file of its own."
        )
    if isinstance(obj, EvaluationKeys):
        _write_evaluation_keys(stream, obj.params, obj.key_id, _members(obj))
    elif isinstance(obj, Parameters):
        payload = encode_parameters(obj)
        write_container(stream, Header(Kind.PARAMETERS, obj.fingerprint, len(payload)), [payload])
    else:
        write_container(stream, *pack_object(obj))


def _members(keys: EvaluationKeys) -> Iterator[tuple[int, SwitchingKey]]:
    """(exponent, key) in ascending order, 0 being the relinearisation key."""
    if keys.relinearisation is not None:
        yield 0, keys.relinearisation
    yield from sorted(keys.rotations.items())


def write_container(stream: BinaryIO, header: Header, parts: list[Part]) -> bytes:
    """Header, payload and checksum, which is returned."""
    pieces = [header.pack(), *parts]
    pieces.append(checksum(pieces))
    for piece in pieces:
        stream.write(piece)
    return pieces[-1]


def _write_evaluation_keys(
    stream: BinaryIO, params: Parameters, key_id: jax.Array, keys: Iterable[tuple[int, SwitchingKey]]
) -> None:
    header = Header(Kind.EVALUATION_KEYS, params.fingerprint, key_id=words(key_id))
    write_set(stream, header, params, pack_members(header, params, keys))


def write_set(
    stream: BinaryIO, header: Header, params: Parameters, containers: Iterable[tuple[Header, list[Part]]]
) -> None:
    """A header, containers one after another, and the checksum of the header and their checksums.

    The header, which counts them in front of its batch, is written last.
    """
    start = stream.tell()
    stream.write(bytes(HEADER.size))
    sums = [write_container(stream, *contents) for contents in containers]
    length = stream.tell() - start - HEADER.size
    header = dataclasses.replace(header, payload=length, batch=(len(sums), *header.batch))
    header.check(params)
    stream.write(checksum([header.pack(), *sums]))
    stream.seek(start)
    stream.write(header.pack())


def pack_members(
    header: Header, params: Parameters, keys: Iterable[tuple[int, SwitchingKey]]
) -> Iterator[tuple[Header, list[Part]]]:
    """Header and payload of (exponent, key) after (exponent, key), for the set of this header.

    Raises:
        ValueError: exponents that do not ascend, or keys of other parameters.
    """
    last = -1
    for pair in keys:
        exponent, key = _exponent_and_key(pair)
        _check_member(key, header, params, exponent, last)
        fields = {"key_id": header.key_id, "level": key.level, "automorphism": exponent}
        contents = pack_arrays(Kind.EVALUATION_KEY, params, key.body, key.seed, **fields)
        last = exponent
        del key, pair  # before the next one is made
        yield contents


def _exponent_and_key(pair: tuple[int, SwitchingKey]) -> tuple[int, SwitchingKey]:
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[0], int):
        raise TypeError(
            f"{type(pair).__name__} was to be written among evaluation keys; they are pairs of an exponent "
            f"and a SwitchingKey, from generate_evaluation_keys."
        )
    return pair[0], pair[1]


def _check_member(key: SwitchingKey, keys: Header, params: Parameters, exponent: int, last: int) -> None:
    if not isinstance(key, SwitchingKey):
        raise TypeError(f"{type(key).__name__} was to be written among evaluation keys, a SwitchingKey each.")
    if key.params != params:
        raise ValueError(f"a key of {key.params} was to be written among those of {params}.")
    if exponent <= last or not _is_automorphism(exponent, params):
        raise ValueError(
            f"the key of automorphism {exponent} was to be written after that of {last}; exponents ascend, "
            f"and are those of rotations and conjugation, or 0 for the relinearisation key."
        )
    if words(switching_identity(key.key_id, exponent)) != keys.key_id:
        raise ValueError(
            f"a key was to be written as that of automorphism {exponent} of a set, and it belongs to another "
            f"secret key or was made for another use; make the set again."
        )


def _is_automorphism(exponent: int, params: Parameters) -> bool:
    """Whether there may be a key for it; 0 stands for the relinearisation key."""
    odd = exponent % 4 == 1 if params.ring.conjugate_invariant else exponent % 2 == 1
    return exponent == 0 or (odd and 1 < exponent < params.ring.root_order)


def _read(
    source: Source, params: Parameters | None, allow_insecure: bool, progress: Progress | None
) -> Serialisable:
    header = unpack_header(source.read(HEADER.size))
    if header.kind == Kind.PARAMETERS:
        result = _read_parameters(source, header, params, allow_insecure)
    elif header.kind == Kind.BOOTSTRAPPING_KEYS:
        raise FormatError("the file is a set of bootstrapping keys, which load_bootstrapping_keys reads.")
    elif header.kind in DOCUMENTS:
        reader = {Kind.SERVER_PROGRAM: "load_server", Kind.CLIENT_PROGRAM: "load_client"}
        raise FormatError(
            f"the file is {header.kind.one}, which fhejax.{reader.get(header.kind, 'load')} reads."
        )
    elif params is None:
        raise FormatError(
            f"{header.kind.one} was to be read without parameters; give those it was made with, or read "
            f"them first."
        )
    elif header.kind == Kind.EVALUATION_KEYS:
        result = _read_evaluation_keys(source, header, params, progress or (lambda done, total: None))
    elif header.kind == Kind.EVALUATION_KEY:
        raise FormatError("the file is one of a set of evaluation keys, which is read as a whole.")
    else:
        header.check(params)
        check_length(source, header)
        payload, _ = read_payload(source, header)
        result = build_object(header, payload, params)
    source.finish()
    return result


def check_length(source: Source, header: Header) -> None:
    """Refuse, before anything more is read, a length that is not the declared one."""
    if source.remaining != header.payload + CHECKSUM_BYTES:
        raise FormatError(
            f"{source.remaining} bytes follow the header of the {header.kind.words}, which declares "
            f"{header.payload} of payload and {CHECKSUM_BYTES} of checksum; it was cut short or altered."
        )


def _read_parameters(
    source: Source, header: Header, params: Parameters | None, allow_insecure: bool
) -> Parameters:
    if header.payload > LARGEST_BYTES:
        raise FormatError(
            f"parameters of {header.payload} bytes are declared; they have at most {LARGEST_BYTES}."
        )
    check_length(source, header)
    payload, _ = read_payload(source, header)
    found = decode_parameters(payload, allow_insecure=allow_insecure)
    if found.fingerprint != header.fingerprint:
        raise FormatError("the parameters are not those that the file names; it was altered or damaged.")
    if params not in (None, found):
        raise FormatError(f"the file holds {found}, and {params} were expected.")
    return found


def _read_evaluation_keys(
    source: Source, header: Header, params: Parameters, progress: Progress
) -> EvaluationKeys:
    header.check(params)
    check_length(source, header)
    found, sums = read_members(source, header, params, header.batch[0], progress)
    finish_set(source, header, sums)
    return EvaluationKeys(found.pop(0, None), found, read_key_id(header), params)


def read_members(
    source: Source, header: Header, params: Parameters, count: int, progress: Progress
) -> tuple[dict[int, SwitchingKey], list[bytes]]:
    """(keys by exponent, checksums) of the next `count` containers of the set of this header."""
    found, sums = {}, []
    for number in range(1, count + 1):
        exponent, key, check = _read_member(source, header, params, max(found, default=-1))
        found[exponent] = key
        sums.append(check)
        progress(number, count)
    return found, sums


def finish_set(source: Source, header: Header, sums: list[bytes]) -> None:
    """Refuse anything but the checksum of a set, given those of all its containers."""
    if source.remaining > CHECKSUM_BYTES:
        raise FormatError(
            f"{source.remaining} bytes follow the {header.batch[0]} keys that are declared; it was altered."
        )
    check_checksum(source.read(CHECKSUM_BYTES), [header.pack(), *sums])


def _read_member(
    source: Source, keys: Header, params: Parameters, last: int
) -> tuple[int, SwitchingKey, bytes]:
    """(exponent, key, checksum) of the next key of a set."""
    header = unpack_header(source.read(HEADER.size))
    exponent = header.automorphism
    if header.kind != Kind.EVALUATION_KEY or header.key_id != keys.key_id:
        raise FormatError(f"{header.kind.one} of another secret key or kind lies among evaluation keys.")
    if exponent <= last or not _is_automorphism(exponent, params):
        raise FormatError(
            f"a key of automorphism {exponent} follows that of {last} among evaluation keys, where exponents "
            f"ascend and are those of rotations and conjugation."
        )
    header.check(params)
    payload, check = read_payload(source, header)
    key = build_object(header, payload, params)
    assert isinstance(key, SwitchingKey)  # its kind was looked at
    return exponent, key, check
