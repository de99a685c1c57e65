"""Peers' environments and the conversation with a running peer, with a peer of the tests' own."""

import dataclasses
import json
import pathlib
import sys

import pytest

from benchmarks.peers import environment
from benchmarks.peers.environment import OPENFHE, PEERS, TENSEAL, Environment, Peer

SCRIPT = f"""
import os, sys
sys.path.insert(0, {str(PEERS)!r})
import numpy as np
from serving import Side, serve

def prepare(setting):
    print("the library's own words")
    threads = int(os.environ["OMP_NUM_THREADS"])
    calls = {{"add": lambda: np.ones(setting.slots)}}
    expected = {{"add": np.ones(setting.slots)}}
    return Side(calls, lambda name, result: result, expected, {{"threads": threads}})

serve(prepare)
"""
SETTING = {"degree": 16, "depth": 1, "scale_bits": 50, "first_bits": 53, "digits": 1, "digit_size": 1}


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "peer.py"
    path.write_text(SCRIPT)
    return path


def test_a_peer_answers_until_it_is_left(script):
    with Peer(sys.executable, script, threads=2) as peer:
        assert peer.ask(prepare=SETTING) == {"description": {"threads": 2}, "operations": ["add"]}
        assert peer.ask(check=True) == {"bits": {"add": 60.0}}
        assert 0 < peer.ask(time="add", seconds=0.0)["seconds"] < 1
    assert peer._process.returncode == 0


def test_a_peer_that_ends_is_reported(script):
    with (
        Peer(sys.executable, script) as peer,
        pytest.raises(RuntimeError, match=r"peer\.py ended while"),
    ):
        peer.ask(time="add", seconds=0.0)


def test_a_peer_needs_its_script_and_a_thread(script):
    with pytest.raises(ValueError, match=r"no peer script 'absent\.py'"):
        Peer(sys.executable, "absent.py")
    with pytest.raises(ValueError, match="0 threads"):
        Peer(sys.executable, script, threads=0)


def test_every_peer_has_an_environment_of_its_own():
    assert OPENFHE.name != TENSEAL.name
    assert OPENFHE.pythons == ("3.10",)


@pytest.mark.parametrize("peer", [OPENFHE, TENSEAL], ids=lambda peer: peer.name)
def test_an_environment_that_is_there_is_used(tmp_path, peer):
    place = tmp_path / peer.name
    place.mkdir()
    (place / "requirements.json").write_text(json.dumps(peer.requirements))
    assert environment.environment_python(peer, tmp_path) == place / "bin" / "python"


def test_another_platform_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(RuntimeError, match="on riscv64"):
        environment.environment_python(OPENFHE, tmp_path)


def test_a_missing_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "find_python", lambda _version: None)
    monkeypatch.setattr("shutil.which", lambda _name: None)
    here = (sys.platform, environment.platform.machine())
    peer = Environment("peer", ("something==1",), ("2.3", "2.4"), (here,))
    with pytest.raises(RuntimeError, match=r"needs CPython 2\.3 or 2\.4"):
        environment.environment_python(peer, tmp_path)
    with pytest.raises(RuntimeError, match="linux on nowhere"):
        environment.environment_python(dataclasses.replace(peer, platforms=(("linux", "nowhere"),)), tmp_path)


def test_find_python_asks_the_interpreter(tmp_path, monkeypatch):
    binaries = tmp_path / "versions" / "9.9.1" / "bin"
    binaries.mkdir(parents=True)
    fake = binaries / "python9.9"
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    fake.write_text("#!/bin/sh\necho cpython 9 8\n")
    fake.chmod(0o755)
    assert environment.find_python("9.9") is None
    fake.write_text("#!/bin/sh\necho cpython 9 9\n")
    assert environment.find_python("9.9") == pathlib.Path(fake)
