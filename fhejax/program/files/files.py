"""The files of programs: a server's half, a client's half, and encrypted arguments and results."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from fhejax.ckks import Parameters
from fhejax.ckks import files as ckks_files
from fhejax.ckks.files import FormatError
from fhejax.ckks.files.atomic_file import replaced
from fhejax.ckks.files.container import HEADER, Kind, Source
from fhejax.ckks.files.serialisation import opened
from fhejax.program.client_program import ClientProgram
from fhejax.program.files.checks import check_client, check_encrypted_array, check_server, require
from fhejax.program.files.payload import read_object, write_object
from fhejax.program.run.encrypted_array import EncryptedArray
from fhejax.program.server_program import ServerProgram


def save_server(path: str | os.PathLike, server: ServerProgram) -> None:
    """Write a server's half to a file, which appears whole or not at all.

    Raises:
        ValueError: a program with plain arguments.
        TypeError: arguments or results nested in classes of the user's own. OSError.
    """
    if server.interface.takes_plain:
        raise ValueError(
            "a program with plain arguments was to be saved for a server, which makes its steps anew for "
            "their values from the traced function; close the function over the values, or make them "
            "encrypted arguments, and save that program."
        )
    with replaced(Path(path), 0o666) as stream:
        write_object(stream, Kind.SERVER_PROGRAM, server, server.params)


def save_client(path: str | os.PathLike, client: ClientProgram) -> None:
    """Write a client's half to a file, which appears whole or not at all.

    Raises:
        TypeError: arguments or results nested in classes of the user's own. OSError.
    """
    with replaced(Path(path), 0o666) as stream:
        write_object(stream, Kind.CLIENT_PROGRAM, client, client.params)


def load_server(path: str | os.PathLike, *, allow_insecure: bool = False) -> ServerProgram:
    """Read a server's half, to be called with evaluation keys and encrypted arguments.

    Args:
        path: of a file that `Program.save_server` wrote; it may be anything.
        allow_insecure: accept parameters without security, which are for tests.

    Raises:
        FormatError: whatever is wrong with the file. OSError.
    """
    return _load_half(path, Kind.SERVER_PROGRAM, ServerProgram, check_server, allow_insecure)


def load_client(path: str | os.PathLike, *, allow_insecure: bool = False) -> ClientProgram:
    """Read a client's half, which makes keys, encrypts and decrypts; else as `load_server`."""
    return _load_half(path, Kind.CLIENT_PROGRAM, ClientProgram, check_client, allow_insecure)


def _load_half(
    path: str | os.PathLike, kind: Kind, half: type, check: Callable[[Any], None], allow_insecure: bool
) -> Any:
    with opened(path) as source:
        return _read_half(source, kind, half, check, allow_insecure)


def _read_half(
    source: Source, kind: Kind, half: type, check: Callable[[Any], None], allow_insecure: bool
) -> Any:
    header, found = read_object(source, kind)
    _checked(lambda: require(isinstance(found, half), "something else than a program"), kind)
    if found.params.fingerprint != header.fingerprint:
        raise FormatError("the file's parameters are not those that it names; it was altered.")
    if found.params.insecure and not allow_insecure:
        raise FormatError(
            f"the {kind.words} has parameters without security, being for tests only "
            f"(allow_insecure=True would accept them)."
        )
    _checked(lambda: check(found), kind)
    return found


def _checked(check: Callable[[], None], kind: Kind) -> None:
    """Refuse, in the format's own error, what a check refuses."""
    try:
        check()
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        text = str(error).rstrip(".")
        raise FormatError(f"the {kind.words} in the file cannot be: {text}; it was altered.") from None


def to_bytes(obj: Any) -> bytes:
    """An object as bytes; equal objects have equal bytes.

    Args:
        obj: an EncryptedArray, or a tuple, list or dictionary of them (with plain arrays between, as results
            are); or anything that `ckks.files.to_bytes` writes: keys, ciphertexts, parameters.

    Raises:
        TypeError: any other object, a secret key above all.
        ValueError: arrays that are being traced, or of different parameters.
    """
    arrays = _encrypted_arrays(obj)
    if not arrays:
        return ckks_files.to_bytes(obj)
    stream = io.BytesIO()
    _write_arrays(stream, obj, arrays)
    return stream.getvalue()


def save(path: str | os.PathLike, obj: Any, *, memory_map: bool = False) -> None:
    """Write an object to a file, which appears whole or not at all.

    Args:
        path: of the file.
        obj: as for `to_bytes`.
        memory_map: whether the file may be read as a memory map. Residues of encrypted arrays then take words
            of 32 bits; else as many bits as the widest prime has: 30 make a file smaller by a sixteenth.

    Raises:
        As `to_bytes`, and OSError.
    """
    arrays = _encrypted_arrays(obj)
    if not arrays:
        return ckks_files.save(path, obj)
    with replaced(Path(path), 0o666) as stream:
        _write_arrays(stream, obj, arrays, memory_map)
    return None


def from_bytes(data: bytes, params: Parameters | None = None, **options: Any) -> Any:
    """The object that `to_bytes` made, after checking every length, field, residue and checksum.

    Args:
        data: any bytes; nothing in them is trusted.
        params: of the program: `program.params`.
        **options: of `ckks.files.from_bytes`.

    Raises:
        FormatError: whatever is wrong with the bytes, or with their being read under these parameters.
        TypeError: no bytes.
    """
    if isinstance(data, bytes | bytearray | memoryview) and _names_arrays(bytes(data[: HEADER.size])):
        return _read_arrays(Source(io.BytesIO(data), memoryview(data).nbytes), params)
    return ckks_files.from_bytes(data, params, **options)


def load(
    path: str | os.PathLike, params: Parameters | None = None, *, memory_map: bool = False, **options: Any
) -> Any:
    """Read what `save` wrote.

    Args:
        path: of the file.
        params: of the program: `program.params`.
        memory_map: whether the residues of encrypted arrays stay in the file, a read-only `numpy.memmap`, of
            which a program in tiles reads what each tile needs; the file was written for that. All of them
            are looked at once, so that nothing is read later that was not checked; let nobody write into
            the file until then.
        **options: of `ckks.files.from_bytes`.

    Raises:
        FormatError: as `from_bytes`. OSError. ValueError: a map of anything but encrypted arrays, or of
            those that were written without `memory_map`.
    """
    with opened(path) as source:
        start = source.stream.read(HEADER.size)
        source.stream.seek(0)
        if _names_arrays(start):
            return _read_arrays(source, params, memory_map)
    if memory_map:
        raise ValueError(
            f"{path} was to be read as a memory map, and holds no encrypted arrays; keys and programs are "
            f"read as a whole: leave memory_map out."
        )
    return ckks_files.load(path, params, **options)


def _names_arrays(start: bytes) -> bool:
    """Whether the first bytes of a file say that it holds encrypted arrays."""
    return len(start) == HEADER.size and start[10] == Kind.ENCRYPTED_ARRAYS


def _is_encrypted(value: Any) -> bool:
    return isinstance(value, EncryptedArray)


def _encrypted_arrays(obj: Any) -> list[EncryptedArray]:
    return [leaf for leaf in jax.tree.leaves(obj, is_leaf=_is_encrypted) if _is_encrypted(leaf)]


def _write_arrays(stream: Any, obj: Any, arrays: list[EncryptedArray], memory_map: bool = False) -> None:
    params = arrays[0].params
    if any(array.params != params for array in arrays):
        raise ValueError("encrypted arrays of different parameters were to be written; write each by itself.")
    for array in arrays:
        if not isinstance(array.data, Tracer):
            check_encrypted_array(array)
    write_object(stream, Kind.ENCRYPTED_ARRAYS, obj, params, params, memory_map)


def _read_arrays(source: Source, params: Parameters | None, memory_map: bool = False) -> Any:
    if params is None:
        raise FormatError("a set of encrypted arrays was to be read without parameters; give program.params.")
    _, found = read_object(source, Kind.ENCRYPTED_ARRAYS, params, memory_map)
    _checked(lambda: _check_arrays(found, params), Kind.ENCRYPTED_ARRAYS)
    return found


def _check_arrays(found: Any, params: Parameters) -> None:
    leaves, arrays = jax.tree.leaves(found, is_leaf=_is_encrypted), _encrypted_arrays(found)
    require(
        arrays and all(isinstance(leaf, EncryptedArray | jax.Array | np.ndarray) for leaf in leaves),
        "other objects",
    )
    for array in arrays:
        require(array.params == params, "other parameters")
        check_encrypted_array(array)
