"""Files that appear whole or not at all: what killed writers leave goes with the next write."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

from fhejax.ckks.files import atomic_file
from fhejax.ckks.files.atomic_file import replaced

pytest.importorskip("fcntl")
WRITER = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("atomic_file", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with module.replaced(pathlib.Path(sys.argv[2]), 0o600) as stream:
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


def write(path: pathlib.Path, content: bytes) -> None:
    with replaced(path, 0o600) as stream:
        stream.write(content)


def names(folder: pathlib.Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def start_writer(path: pathlib.Path) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, atomic_file.__file__, str(path)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"writing\n"
    return writer


def test_what_a_killed_writer_left_is_removed(tmp_path):
    path = tmp_path / "keys"
    with start_writer(path) as writer:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    left = names(tmp_path)
    assert len(left) == 1
    assert left[0].endswith(".tmp")
    write(tmp_path / "others", b"1")
    assert names(tmp_path) == [*left, "others"]
    write(path, b"2")
    assert names(tmp_path) == ["keys", "others"]
    assert path.read_bytes() == b"2"


def test_what_a_living_writer_writes_stays(tmp_path):
    path = tmp_path / "keys"
    with start_writer(path) as writer:
        before = names(tmp_path)
        write(path, b"2")
        assert names(tmp_path) == [*before, "keys"]
        assert path.read_bytes() == b"2"
        writer.stdin.close()
        assert writer.wait() == 0
    assert names(tmp_path) == ["keys"]
    assert path.read_bytes() == b"half"


def test_writers_of_one_process(tmp_path):
    path = tmp_path / "keys"
    with replaced(path, 0o600) as stream:
        stream.write(b"first")
        write(path, b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["keys"]


def test_only_files_of_its_own_kind_are_removed(tmp_path):
    kept = [
        ".a.0123456789abcdef.tmp.txt",
        ".a.0123.tmp",
        ".a.b.0123456789abcdef.tmp",
        ".a.0123456789ABCDEF.tmp",
        "a.0123456789abcdef.tmp",
    ]
    for name in (*kept, ".a.0123456789abcdef.tmp"):
        (tmp_path / name).touch()
    target = tmp_path / "target"
    target.write_bytes(b"elsewhere")
    (tmp_path / ".a.fedcba9876543210.tmp").symlink_to(target)
    (tmp_path / ".a.fedcba9876543211.tmp").mkdir()
    write(tmp_path / "a", b"1")
    expected = [*kept, "a", "target", ".a.fedcba9876543210.tmp", ".a.fedcba9876543211.tmp"]
    assert names(tmp_path) == sorted(expected)
    assert target.read_bytes() == b"elsewhere"


def test_a_file_that_was_taken_for_abandoned_is_made_again(tmp_path, monkeypatch):
    """Between its creation and its lock another writer may have removed it."""
    locked, removed = atomic_file._locked, []

    def late(descriptor: int) -> int | None:
        if not removed:
            (found,) = tmp_path.iterdir()
            removed.append(found.name)
            found.unlink()
        return locked(descriptor)

    monkeypatch.setattr(atomic_file, "_locked", late)
    write(tmp_path / "a", b"1")
    assert len(removed) == 1
    assert names(tmp_path) == ["a"]


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_file, "fcntl", None)
    (tmp_path / ".a.0123456789abcdef.tmp").touch()
    write(tmp_path / "a", b"1")
    assert names(tmp_path) == [".a.0123456789abcdef.tmp", "a"]


def test_no_descriptor_stays_open(tmp_path):
    folder = pathlib.Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("open descriptors are counted in /proc")
    before = len(os.listdir(folder))
    for _ in range(3):
        write(tmp_path / "a", b"1")
    assert len(os.listdir(folder)) == before
