"""The container of every file and message: a header of 128 bytes, a payload, and a checksum of both.

Integers are little-endian.

    offset  bytes  field
         0      8  magic
         8      2  version of the format
        10      1  kind of object
        11      1  domain: 1 for evaluation, 2 for coefficient
        12     32  fingerprint of the parameters
        44     16  id of the secret key; of a switching key by itself, its own
        60      2  level
        62      1  components
        63      1  batch axes
        64     24  mantissa of the scale, odd
        88      4  exponent of the scale, signed
        92      4  automorphism, of a rotation key
        96     24  lengths of up to 6 batch axes
       120      8  bytes of payload

A field that a kind of object has no use for is zero, so that an object has one encoding. The payload is a
seed of 32 bytes, where the kind has one, and residues as 32-bit words in the order of the array's axes. It
is followed by the BLAKE2b-256 of header and payload. Every length follows from the parameters and
the header, and is compared with what is there before anything is allocated.
"""

import dataclasses
import enum
import hashlib
import itertools
import math
import struct
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fhejax.ckks.keys.generation import key_digits, key_moduli
from fhejax.ckks.parameters.byte_format import MANTISSA_BYTES
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Domain

MAGIC = b"FHEJAX\r\n"
SECRET_MAGIC = b"FHESEC\r\n"
VERSION = 2
HEADER = struct.Struct("<8sHBB32s16sHBB24siI6IQ")
CHECKSUM_BYTES = 32
SEED_BYTES = 32
KEY_ID_BYTES = 16
_AXES = 6
_BATCH_BOUND = 2**32
_SCALE_MARGIN_BITS = 64
_PIECE = 2**22  # bytes that are read at once where a payload is only looked at
_DOMAINS: tuple[Domain | None, ...] = (None, "evaluation", "coefficient")


class FormatError(ValueError):
    """Bytes that are no object of this library, or not one of these parameters."""


class Kind(enum.IntEnum):
    """What a container holds. The numbers are part of the format."""

    PARAMETERS = 1
    PLAINTEXT = 2
    CIPHERTEXT = 3
    SEEDED_CIPHERTEXT = 4
    PUBLIC_KEY = 5
    SWITCHING_KEY = 6
    EVALUATION_KEYS = 7
    EVALUATION_KEY = 8
    BOOTSTRAPPING_KEYS = 9
    ENCRYPTED_ARRAYS = 10
    SERVER_PROGRAM = 11
    CLIENT_PROGRAM = 12

    @property
    def words(self) -> str:
        """The kind in words."""
        return self.name.lower().replace("_", " ")

    @property
    def one(self) -> str:
        """The kind in words, with its article: "an evaluation key", "a set of evaluation keys"."""
        if self.words.endswith("s"):
            return f"a set of {self.words}"
        return f"{'an' if self.words[0] in 'aeiou' else 'a'} {self.words}"


_ENCODED = frozenset({"level", "scale", "domain", "batch"})
_USED = MappingProxyType(
    {
        Kind.PARAMETERS: frozenset(),
        Kind.PLAINTEXT: _ENCODED,
        Kind.CIPHERTEXT: _ENCODED | {"key_id", "components"},
        Kind.SEEDED_CIPHERTEXT: (_ENCODED | {"key_id"}) - {"domain"},
        Kind.PUBLIC_KEY: frozenset({"key_id"}),
        Kind.SWITCHING_KEY: frozenset({"level", "key_id"}),
        Kind.EVALUATION_KEYS: frozenset({"key_id", "batch"}),
        Kind.EVALUATION_KEY: frozenset({"level", "key_id", "automorphism"}),
        Kind.BOOTSTRAPPING_KEYS: frozenset({"key_id", "batch"}),
        Kind.ENCRYPTED_ARRAYS: frozenset({"batch"}),
        Kind.SERVER_PROGRAM: frozenset({"batch"}),
        Kind.CLIENT_PROGRAM: frozenset({"batch"}),
    }
)
# Of these `fhejax.program.files` knows what is in them: a document, then arrays.
DOCUMENTS = frozenset({Kind.ENCRYPTED_ARRAYS, Kind.SERVER_PROGRAM, Kind.CLIENT_PROGRAM})
_SEEDED = frozenset({Kind.SEEDED_CIPHERTEXT, Kind.PUBLIC_KEY, Kind.SWITCHING_KEY, Kind.EVALUATION_KEY})


@dataclasses.dataclass(frozen=True)
class Header:
    """What precedes the payload; see the table above.

    automorphism: the exponent of a rotation key, 0 for the relinearisation key. batch of a set of keys: how
    many there are; and, if they are for bootstrapping, the weight of the sparse secret. batch of what begins
    with a document: the bytes of that, and how many bits a residue takes if that is no word.
    """

    kind: Kind
    fingerprint: bytes
    payload: int = 0
    key_id: bytes = bytes(KEY_ID_BYTES)
    level: int = 0
    scale: Scale | None = None
    domain: Domain | None = None
    components: int = 0
    batch: tuple[int, ...] = ()
    automorphism: int = 0

    def pack(self) -> bytes:
        """The 128 bytes. The header has to be one that `check` accepts."""
        mantissa, exponent = (0, 0) if self.scale is None else (self.scale.mantissa, self.scale.exponent)
        return HEADER.pack(
            MAGIC,
            VERSION,
            self.kind,
            _DOMAINS.index(self.domain),
            self.fingerprint,
            self.key_id,
            self.level,
            self.components,
            len(self.batch),
            mantissa.to_bytes(MANTISSA_BYTES, "little"),
            exponent,
            self.automorphism,
            *self.batch,
            *[0] * (_AXES - len(self.batch)),
            self.payload,
        )

    def check(self, params: Parameters) -> None:
        """Refuse what does not fit the parameters, the length of the payload included.

        Raises:
            FormatError: naming the first field that is wrong.
        """
        if self.fingerprint != params.fingerprint:
            raise FormatError(
                f"the {self.kind.words} belongs to parameters of fingerprint {self.fingerprint.hex()[:16]}, "
                f"and {params} were given, of {params.fingerprint.hex()[:16]}; give those it was made with."
            )
        check_fields(self, params)
        found, expected = self.payload, payload_bytes(self, params)
        if found != expected:
            raise FormatError(
                f"the {self.kind.words} declares {found} bytes of payload, where its header makes "
                f"{expected}; it was altered or damaged."
            )


def check_fields(header: Header, params: Parameters) -> None:
    """Refuse fields that no object of the kind can have under these parameters."""
    used = _USED[header.kind]
    if header.level > params.depth:
        raise _wrong(header, f"level {header.level}, where the levels are 0 to {params.depth}")
    if "scale" in used:
        _check_scale(header, params)
    if "domain" in used and header.domain is None:
        raise _wrong(header, "no domain")
    if "components" in used and header.components not in (2, 3):
        raise _wrong(header, f"{header.components} components, where 2 or 3 are possible")
    empty = header.kind != Kind.EVALUATION_KEYS and not all(header.batch)
    if empty or len(header.batch) > _AXES or math.prod(header.batch) >= _BATCH_BOUND:
        raise _wrong(header, f"a batch of shape {header.batch}, with no object, too many or too many axes")
    if len(header.key_id) != KEY_ID_BYTES:
        raise _wrong(header, f"a key id of {len(header.key_id)} bytes, where {KEY_ID_BYTES} are needed")
    if header.kind in (Kind.SWITCHING_KEY, Kind.EVALUATION_KEY) and not params.special:
        raise _wrong(header, "a key, where the parameters are made without key switching")


def _check_scale(header: Header, params: Parameters) -> None:
    scale = header.scale
    if scale is None or not scale.is_normal():
        raise _wrong(header, "no scale, or one that is not in lowest terms")
    largest = params.modulus_bits + _SCALE_MARGIN_BITS
    if not -_SCALE_MARGIN_BITS <= scale.bits <= largest:
        raise _wrong(header, f"a scale of {scale}, where the modulus is 2**{params.modulus_bits:.0f}")


def _wrong(header: Header, found: str) -> FormatError:
    return FormatError(f"the {header.kind.words} names {found}; it was altered, damaged or made wrongly.")


def unpack_header(data: bytes) -> Header:
    """The header in 128 bytes, its fields not yet compared with any parameters.

    Raises:
        FormatError: another magic, version or kind; or fields that are not zero and should be.
    """
    magic, version, kind, domain, *_ = fields = HEADER.unpack(data)
    if magic != MAGIC:
        hint = "a secret key, which load_secret_key reads" if magic == SECRET_MAGIC else "something else"
        raise FormatError(f"the file begins with {magic!r} and not with {MAGIC!r}: it is {hint}.")
    if version != VERSION:
        raise FormatError(
            f"the file has version {version} of the format, and this library reads version {VERSION}: read "
            f"it with the library that wrote it, or a newer one."
        )
    if kind not in set(Kind) or domain >= len(_DOMAINS):
        raise FormatError(f"the file names kind {kind} and domain {domain}, which do not exist.")
    header = _header(Kind(kind), *fields[3:])
    _check_unused(header, fields)
    return header


def _header(kind: Kind, domain: int, fingerprint: bytes, key_id: bytes, level: int, *rest: Any) -> Header:
    components, axes, mantissa, exponent, automorphism, *lengths, payload = rest
    scale = Scale(int.from_bytes(mantissa, "little"), exponent) if any(mantissa) or exponent else None
    return Header(
        kind,
        fingerprint,
        payload,
        key_id,
        level,
        scale,
        _DOMAINS[domain],
        components,
        tuple(lengths[: min(axes, _AXES)]),
        automorphism,
    )


def _check_unused(header: Header, fields: tuple[Any, ...]) -> None:
    """Refuse anything in fields that the kind has no use for, and in the lengths of missing axes."""
    axes, lengths = fields[8], fields[12:-1]
    unused = {field.name: field.default for field in dataclasses.fields(Header)[3:]}
    odd = [name for name, empty in unused.items() if getattr(header, name) != empty]
    odd = [name for name in odd if name not in _USED[header.kind]]
    if axes > _AXES or any(lengths[axes:]):
        odd.append("batch")
    if odd:
        raise _wrong(header, f"a field that it has no use for ({odd[0].replace('_', ' ')})")


class Layout(NamedTuple):
    """How the payload is read: residues of this shape, limbs before the last axis, after any seed."""

    shape: tuple[int, ...]
    moduli: tuple[int, ...]
    seeded: bool


def layout(header: Header, params: Parameters) -> Layout:
    """The layout that a header (with valid fields) stands for, of every kind that holds residues."""
    kind, level = header.kind, header.level
    if kind in (Kind.SWITCHING_KEY, Kind.EVALUATION_KEY):
        moduli, axes = key_moduli(params, level), (len(key_digits(params, level)),)
    else:
        moduli = params.level_moduli(params.depth if kind == Kind.PUBLIC_KEY else level)
        axes = (*header.batch, header.components) if kind == Kind.CIPHERTEXT else header.batch
    return Layout((*axes, len(moduli), params.ring.degree), moduli, kind in _SEEDED)


def payload_bytes(header: Header, params: Parameters) -> int:
    """The length of the payload; of a set of keys what is declared, if it is possible."""
    if header.kind in (Kind.EVALUATION_KEYS, Kind.BOOTSTRAPPING_KEYS):
        return _possible_set(header, params)
    shape, _, seeded = layout(header, params)
    return 4 * math.prod(shape) + SEED_BYTES * seeded


def _possible_set(header: Header, params: Parameters) -> int:
    """What the set declares, if so many keys of so many bytes exist: else the nearest number that does."""
    sparse = header.kind == Kind.BOOTSTRAPPING_KEYS  # two keys more, the first of which is small
    limit = params.ring.root_order // 2 + 2 * sparse
    if len(header.batch) != 1 + sparse or not 2 * sparse <= header.batch[0] <= limit:
        raise _wrong(header, f"{header.batch} keys, where at most {limit} exist")
    count = header.batch[0]
    each = [HEADER.size + CHECKSUM_BYTES + params.switching_key_bytes(level) for level in (0, params.depth)]
    return min(max(header.payload, (count - sparse) * min(each)), count * max(each))


def checksum(parts: Iterable[bytes | memoryview]) -> bytes:
    """BLAKE2b-256."""
    state = hashlib.blake2b(digest_size=CHECKSUM_BYTES)
    for part in parts:
        state.update(part)
    return state.digest()


@dataclasses.dataclass
class Source:
    """A stream and how many bytes are left in it, so that nothing is read that is not there."""

    stream: BinaryIO
    remaining: int

    def read(self, count: int) -> bytes:
        """The next `count` bytes.

        Raises:
            FormatError: when there are fewer.
        """
        data = self.stream.read(count) if count <= self.remaining else b""
        if len(data) != count:
            raise FormatError(
                f"the file ends too early: {count} more bytes were expected and {self.remaining} are left. "
                f"It was cut short; send or write it again."
            )
        self.remaining -= count
        return data

    def finish(self) -> None:
        """Refuse bytes after the end."""
        if self.remaining:
            raise FormatError(f"{self.remaining} bytes follow the end of the file; it was altered.")


def read_payload(source: Source, header: Header) -> tuple[bytes, bytes]:
    """(payload, checksum) after a checked header.

    Raises:
        FormatError: fewer bytes than declared, or a wrong checksum.
    """
    payload, found = source.read(header.payload), source.read(CHECKSUM_BYTES)
    check_checksum(found, [header.pack(), payload])
    return payload, found


def check_rest(source: Source, header: Header, start: bytes) -> None:
    """Read what follows the start of a payload, a little at a time, and refuse a wrong checksum.

    Args:
        source: after that start.
        header: checked.
        start: of the payload.

    Raises:
        FormatError: fewer bytes than declared, or a wrong checksum.
    """
    left = header.payload - len(start)
    sizes = (min(_PIECE, left - done) for done in range(0, left, _PIECE))
    made = checksum(itertools.chain([header.pack(), start], map(source.read, sizes)))
    if source.read(CHECKSUM_BYTES) != made:
        raise _damaged()


def check_checksum(found: bytes, parts: Iterable[bytes | memoryview]) -> None:
    """Refuse a checksum that is not that of these parts."""
    if found != checksum(parts):
        raise _damaged()


def _damaged() -> FormatError:
    return FormatError("the checksum does not fit the content, which was damaged; send or write it again.")


def read_residues(payload: bytes, header: Header, params: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """(seed uint32 [8] or empty, residues uint32) of a payload whose length has been checked.

    Raises:
        FormatError: a residue that is not below its prime.
    """
    shape, moduli, seeded = layout(header, params)
    words = np.frombuffer(payload, "<u4")
    start = SEED_BYTES // 4 * seeded
    residues = words[start:].reshape(shape)
    check_below(residues, moduli, header.kind)
    return words[:start], residues


def check_below(residues: np.ndarray, moduli: tuple[int, ...], kind: Kind) -> None:
    """Refuse residues [..., limb, N] that are not below their primes."""
    axes = tuple(axis for axis in range(residues.ndim) if axis != residues.ndim - 2)
    if (residues.max(axis=axes) >= np.array(moduli, np.uint32)).any():
        raise FormatError(f"the {kind.words} holds a residue that is not below its prime; it was altered.")
