"""One container with an object of this package: its document, then its arrays, and a checksum of all.

Nothing in a file is trusted: lengths are compared with what is there before arrays are made, and memory
beyond the file's own bytes is taken for its arrays once, and for the document.

Of encrypted arrays, residues take as many bits as the widest prime of their parameters, unless the file is to
be read as a memory map; a second number in the header's batch says how many.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fhejax.ckks import Parameters
from fhejax.ckks.files import FormatError
from fhejax.ckks.files.bit_packing import GROUP, pack_bits, packed_bytes, unpack_bits
from fhejax.ckks.files.container import (
    CHECKSUM_BYTES,
    HEADER,
    Header,
    Kind,
    Source,
    check_rest,
    read_payload,
    unpack_header,
)
from fhejax.ckks.files.serialisation import check_length, write_container
from fhejax.ckks.memory_maps import mapped
from fhejax.program.files.document import ArrayDescription, parse, read_document, write_document

LARGEST_DOCUMENT = 2**26
_AXES_OF_RESIDUES = 4  # at least: block, component, limb, N


def write_object(
    stream: BinaryIO,
    kind: Kind,
    value: Any,
    params: Parameters,
    known: Parameters | None = None,
    memory_map: bool = False,
) -> None:
    """Write an object of registered types.

    Args:
        stream: what it is written to.
        kind: of the container.
        value: the object.
        params: the parameters it belongs to.
        known: parameters that its reader knows.
        memory_map: whether the reader may map residues, which then take whole words.

    Raises:
        TypeError: an object of another type in it. ValueError: one that is being traced, or too large.
    """
    text, arrays = write_document(value, known)
    if any(isinstance(array, Tracer) for array in arrays):
        raise ValueError("an object was to be written inside of a traced function; write what it returns.")
    if len(text) > LARGEST_DOCUMENT:
        raise ValueError(
            f"a document of {len(text)} bytes was to be written, and at most {LARGEST_DOCUMENT} are read; "
            f"the program has too many steps to be a file: compile it in parts."
        )
    host = [np.ascontiguousarray(np.asarray(array)).reshape(-1) for array in arrays]
    bits = None if memory_map else packed_bits(known)
    written = [
        flat if own is None else pack_bits(flat, own)
        for flat, own in zip(host, (_bits_of(array, known, bits) for array in arrays), strict=True)
    ]
    size = len(text) + sum(array.nbytes for array in written)
    header = Header(kind, params.fingerprint, size, batch=(len(text), bits) if bits else (len(text),))
    write_container(stream, header, [text, *(array.view(np.uint8).data for array in written)])


def packed_bits(known: Parameters | None) -> int | None:
    """The bits that a residue takes in a file: None where it is a word of 32 bits.

    Args:
        known: parameters that the reader knows. Of other objects no residues are packed.
    """
    if known is None or known.ring.degree % GROUP:
        return None
    bits = max(known.moduli + known.special).bit_length()
    return bits if bits < GROUP else None


def _bits_of(array: Any, known: Parameters | None, bits: int | None) -> int | None:
    """The bits of a number in an array, or in what describes one: of residues, or None for its type's."""
    of_residues = array.dtype == np.uint32 and len(array.shape) >= _AXES_OF_RESIDUES
    return bits if known is not None and of_residues and array.shape[-1] == known.ring.degree else None


def _bytes_in_file(array: Any, known: Parameters | None, bits: int | None) -> int:
    """The bytes that an array, or what describes it, takes in a file."""
    count, own = math.prod(array.shape), _bits_of(array, known, bits)
    return count * array.dtype.itemsize if own is None else packed_bytes(count, own)


def object_bytes(value: Any, known: Parameters | None = None) -> int:
    """The bytes of the container of an object, whose arrays may be `jax.ShapeDtypeStruct`, and no map's.

    Args:
        value: the object.
        known: parameters that its reader knows.
    """
    text, arrays = write_document(value, known)
    bits = packed_bits(known)
    sizes = [_bytes_in_file(array, known, bits) for array in arrays]
    return HEADER.size + len(text) + sum(sizes) + CHECKSUM_BYTES


def read_object(
    source: Source, kind: Kind, known: Parameters | None = None, memory_map: bool = False
) -> tuple[Header, Any]:
    """The header and the object of a container; what the object says is not yet checked.

    Args:
        source: of the bytes.
        kind: that is wanted.
        known: parameters that the object may refer to.
        memory_map: whether residues stay in the file that is read; else all arrays are on the device.

    Raises:
        FormatError: whatever is wrong with the bytes. ValueError: a map of residues that are packed.
    """
    header = _read_header(source, kind, known)
    bits = _bits_told(header, known)
    if memory_map and bits:
        raise ValueError(
            f"the {kind.words} were to be read as a memory map, and their residues lie in the file {bits} "
            f"bits each; write the file by save(path, obj, memory_map=True), or leave memory_map out."
        )
    length = header.batch[0]
    check_length(source, header)
    if memory_map:
        text = source.read(length)
        check_rest(source, header, text)
        payload = None
    else:
        payload, _ = read_payload(source, header)
        text = payload[:length]
    source.finish()
    plain, described = parse(text)
    sizes = [_bytes_in_file(array, known, bits) for array in described]
    starts = _starts(sizes, length, header.payload)
    if payload is None:
        pairs = zip(described, starts, strict=True)
        arrays = [_array_in_file(source, HEADER.size + start, array) for array, start in pairs]
    else:
        contents = memoryview(payload)
        arrays = [
            _array(contents[start : start + size], array, _bits_of(array, known, bits))
            for array, start, size in zip(described, starts, sizes, strict=True)
        ]
    return header, read_document(plain, text, arrays, known)


def _read_header(source: Source, kind: Kind, known: Parameters | None) -> Header:
    """The header of a container of this kind and these parameters, which says that a document follows."""
    header = unpack_header(source.read(HEADER.size))
    if header.kind != kind:
        raise FormatError(f"the file is {header.kind.one}, and {kind.one} was to be read.")
    if known is not None and header.fingerprint != known.fingerprint:
        raise FormatError(
            f"the {kind.words} belong to parameters of fingerprint {header.fingerprint.hex()[:16]}, and "
            f"{known} were given, of {known.fingerprint.hex()[:16]}; give those they were made with."
        )
    length = header.batch[0] if header.batch else 0
    if not 0 < length <= min(header.payload, LARGEST_DOCUMENT):
        raise FormatError(
            f"the {kind.words} names a document of {length} bytes among {header.payload} of payload, "
            f"where one of 1 to {LARGEST_DOCUMENT} is needed; it was altered or damaged."
        )
    return header


def _bits_told(header: Header, known: Parameters | None) -> int | None:
    """The bits that a residue takes, as a header tells: those of the parameters, or None for whole words."""
    packed = header.batch[1:]
    if not packed:
        return None
    if packed != (packed_bits(known),):
        raise FormatError(
            f"the {header.kind.words} names a batch of {header.batch}, which no file of these parameters "
            f"has; it was altered or damaged."
        )
    return packed[0]


def _starts(sizes: Sequence[int], start: int, length: int) -> list[int]:
    """The places of arrays of these bytes in a payload of this length, from a start on."""
    ends = list(itertools.accumulate(sizes, initial=start))
    if ends[-1] != length:
        raise FormatError(
            f"the file's document names arrays of {ends[-1] - start} bytes, and {length - start} follow it; "
            f"it was altered."
        )
    return ends[:-1]


def _array_in_file(source: Source, start: int, described: ArrayDescription) -> jax.Array | np.ndarray:
    """An array that begins somewhere in a file: residues as a map of them, any other on the device."""
    if described.dtype == np.uint32 and len(described.shape) >= _AXES_OF_RESIDUES and described.bytes:
        return mapped(source.stream, np.dtype("<u4"), start, described.shape)
    source.stream.seek(start)
    return _array(memoryview(source.stream.read(described.bytes)), described)


def _array(data: memoryview, described: ArrayDescription, bits: int | None = None) -> jax.Array:
    """An array of these bytes, whose numbers take so many bits each, or all of their type's."""
    if described.dtype == bool and max(data, default=0) > 1:
        raise FormatError("the file holds truth values that are neither 0 nor 1; it was altered.")
    values = np.frombuffer(data, described.dtype) if len(data) else np.zeros(0, described.dtype)
    if bits is not None:
        return jnp.asarray(unpack_bits(values, bits).reshape(described.shape))
    with jax.enable_x64(True):  # factors of results are numbers of 64 bits
        return jnp.array(values.reshape(described.shape))
