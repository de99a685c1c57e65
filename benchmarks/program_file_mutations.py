"""Mutations of program files: each is refused by a sentence or is the object with these bytes.

    python -m benchmarks.program_file_mutations [--count 20000]

Bits are flipped, bytes cut out, added and overwritten, fields of the header and values of the document
changed, most of them sealed again with the checksum that belongs to them, so that what lies behind it is
reached. Every hundredth is read with its memory watched: it may take twice what the unaltered file takes.
"""

import dataclasses
import functools
import hashlib
import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import tyro

import fhejax
from fhejax.ckks.files import FormatError
from fhejax.ckks.files.container import CHECKSUM_BYTES, HEADER, Kind, Source
from fhejax.program.files.checks import check_client, check_server
from fhejax.program.files.files import _read_half
from fhejax.program.files.payload import write_object

KINDS = ("server", "client", "argument", "result")
_WATCHED = 100


@dataclasses.dataclass(frozen=True)
class Arguments:
    """What to try.

    Attributes:
        count: mutations of each kind of file.
        seed: of the mutations.
    """

    count: int = 20_000
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Subject:
    """A file and how it is read and written.

    Attributes:
        data: the file.
        read: bytes to an object.
        write: an object to bytes.
    """

    data: bytes
    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]


def _network(x: Any) -> Any:
    weights = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    y = (x @ weights + 0.25) ** 2
    return y, {"mean": (x * x).mean(0), "two": np.arange(2)}


@functools.cache
def subjects() -> dict[str, Subject]:
    """One of each kind of file, of a small program in a ring for tests."""
    program = fhejax.compile(_network, fhejax.Encrypted((6, 3)), insecure_log_degree=4)
    client = program.client
    secret, keys = client.keygen()
    sent = client.encrypt(secret, np.random.default_rng(1).uniform(-1, 1, (6, 3)))

    def half(kind: Kind, own: Any, check: Callable) -> Subject:
        def read(data: bytes) -> Any:
            return _read_half(Source(io.BytesIO(data), len(data)), kind, type(own), check, True)

        def write(value: Any) -> bytes:
            stream = io.BytesIO()
            write_object(stream, kind, value, value.params)
            return stream.getvalue()

        return Subject(write(own), read, write)

    def arrays(value: Any) -> Subject:
        read = functools.partial(fhejax.from_bytes, params=client.params)
        return Subject(fhejax.to_bytes(value), read, fhejax.to_bytes)

    halves = (
        half(Kind.SERVER_PROGRAM, program.server, check_server),
        half(Kind.CLIENT_PROGRAM, client, check_client),
    )
    return dict(zip(KINDS, (*halves, arrays(sent), arrays(program(keys, sent))), strict=True))


def sealed(data: bytes) -> bytes:
    """The same with the checksum that belongs to it."""
    body = data[: max(0, len(data) - CHECKSUM_BYTES)]
    return body + hashlib.blake2b(body, digest_size=CHECKSUM_BYTES).digest()


def _flip(random: np.random.Generator, data: bytearray) -> bytearray:
    data[random.integers(len(data))] ^= 1 << random.integers(8)
    return data


def _remove(random: np.random.Generator, data: bytearray) -> bytearray:
    start = random.integers(len(data))
    del data[start : start + random.integers(1, 200)]
    return data


def _insert(random: np.random.Generator, data: bytearray) -> bytearray:
    start = random.integers(len(data) + 1)
    data[start:start] = random.bytes(random.integers(1, 40))
    return data


def _overwrite(random: np.random.Generator, data: bytearray) -> bytearray:
    start, new = random.integers(len(data)), random.bytes(random.integers(1, 9))
    data[start : start + len(new)] = new
    return data


_FIELDS = (
    (8, 2),
    (10, 1),
    (11, 1),
    (12, 32),
    (44, 16),
    (60, 2),
    (63, 1),
    (88, 4),
    (96, 4),
    (100, 4),
    (120, 8),
)


def _lie(random: np.random.Generator, data: bytearray) -> bytearray:
    """About a field of the header."""
    offset, size = _FIELDS[random.integers(len(_FIELDS))]
    value = int(random.choice([0, 1, 2, 10, 11, 12, 2**8, 2**16, 2**31, 2**32 - 1, 2**40, 2**62]))
    data[offset : offset + size] = (value % 256**size).to_bytes(size, "little")
    return data


_VALUES = (
    None,
    True,
    False,
    0,
    1,
    2,
    -1,
    3,
    2**31,
    2**32,
    2**63,
    10**400,
    "",
    "x",
    "given",
    "float32",
    [],
    {},
)


def _places(value: Any, found: list) -> list:
    """(container, key) of every value in JSON."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in list(parts):
        found.append((value, key))
        if isinstance(part, dict | list):
            _places(part, found)
    return found


def _tell(random: np.random.Generator, data: bytearray) -> bytearray:
    """Another value in the document: of another type, too large, from elsewhere, or missing."""
    length = int.from_bytes(data[96:100], "little")
    try:
        document = json.loads(data[HEADER.size : HEADER.size + length])
        places = _places(document, [])
    except (ValueError, TypeError, RecursionError):
        return data
    if not places:
        return data
    container, key = places[random.integers(len(places))]
    other = places[random.integers(len(places))]
    choice = random.integers(5)
    if choice < 2:
        container[key] = _VALUES[random.integers(len(_VALUES))]
    elif choice == 2 and type(container[key]) is int:
        container[key] += int(random.integers(-3, 4))
    elif choice == 3:
        del container[key]
    else:
        container[key] = json.loads(json.dumps(other[0][other[1]] if other[0] is not container else 0))
    text = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    payload = bytes(data[HEADER.size + length :])
    head = bytearray(data[: HEADER.size])
    head[96:100] = len(text).to_bytes(4, "little")
    total = len(text) + len(payload) - CHECKSUM_BYTES
    head[120:128] = (max(0, total)).to_bytes(8, "little")
    return head + text + payload


_MUTATIONS = (_flip, _remove, _insert, _overwrite, _lie, _tell, _tell, _tell, _tell)


def mutated(random: np.random.Generator, data: bytes) -> bytes:
    """The file with one or two things done to it, sealed again or not."""
    found = bytearray(data)
    for _ in range(random.integers(1, 3)):
        if len(found) > HEADER.size:
            found = _MUTATIONS[random.integers(len(_MUTATIONS))](random, found)
    return sealed(bytes(found)) if random.random() < 0.9 else bytes(found)


def attempt(subject: Subject, data: bytes) -> bool:
    """Whether the file was read; wrong if that is neither by these bytes nor refused by a sentence.

    Raises:
        AssertionError: an object with other bytes, or an error that is no sentence.
    """
    try:
        found = subject.read(data)
    except FormatError as error:
        assert str(error).endswith("."), error
        return False
    assert subject.write(found) == data, "an object with other bytes"
    return True


def peak(subject: Subject, data: bytes) -> int:
    """The bytes that a reading takes at most."""
    tracemalloc.start()
    try:
        attempt(subject, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def run(kind: str, count: int, seed: int) -> dict[str, int]:
    """The outcomes of mutations of one kind of file."""
    subject, random = subjects()[kind], np.random.default_rng(seed)
    attempt(subject, subject.data)
    limit = peak(subject, subject.data)
    counts = {"refused": 0, "read": 0, "largest, of bytes allowed": 0, "allowed": 2 * limit}
    for number in range(count):
        data = mutated(random, subject.data)
        counts["read" if attempt(subject, data) else "refused"] += 1
        if number % _WATCHED == 0:
            taken = peak(subject, data)
            assert taken <= 2 * limit, f"{taken} bytes, where {limit} are needed"
            counts["largest, of bytes allowed"] = max(counts["largest, of bytes allowed"], taken)
    return counts


if __name__ == "__main__":
    chosen = tyro.cli(Arguments)
    for name in KINDS:
        print(name, run(name, chosen.count, chosen.seed), flush=True)
