"""Files that appear whole or not at all, and what is left of writers that were killed.

A file is written beside its place under a name of its own, and takes the place in one step. Its writer holds
a lock on it, which ends with the writer: a file of such a name without a lock is what a killed writer left,
and the next one removes it. Where the system has no such locks (Windows) they stay.
"""

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:
    fcntl = None

_TOKEN_BYTES = 8


@contextlib.contextmanager
def replaced(path: Path, mode: int) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` once it is on the disk, and vanishes after an error."""
    _remove_abandoned(path)
    temporary, descriptor, lock = _create(path, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)
    _synchronise_folder(path.parent)


def _create(path: Path, mode: int) -> tuple[Path, int, int | None]:
    """(name, descriptor, lock) of a new file; once more where another writer took it for abandoned."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(_TOKEN_BYTES)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, mode)
        lock = _locked(descriptor)
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor, lock
        os.close(descriptor)
        if lock is not None:
            os.close(lock)


def _locked(descriptor: int) -> int | None:
    """A second descriptor, which keeps the lock of an open file until it is closed; none without locks."""
    if fcntl is None:
        return None
    with contextlib.suppress(OSError):  # a file system without locks, on which nothing is removed
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.dup(descriptor)


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of the same name left in the folder."""
    if fcntl is None or not path.parent.is_dir():
        return
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.tmp")
    for found in path.parent.iterdir():
        if name.fullmatch(found.name):
            with contextlib.suppress(OSError):  # a writer lives, or it is somebody else's
                _remove_unlocked(found)


def _remove_unlocked(path: Path) -> None:
    assert fcntl is not None  # else nothing was found to remove
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)


def _synchronise_folder(folder: Path) -> None:
    """Make the new name durable too, where the system can open folders."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
