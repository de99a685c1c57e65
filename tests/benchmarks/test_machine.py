"""The benchmarks' helpers: times, memory, machine and result files."""

import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import jax.numpy as jnp
import pytest

from benchmarks import machine


def test_median_time_keeps_the_first_call_apart():
    delays = iter((0.2, 0.01, 0.03, 0.02))
    first, median, times = machine.median_time(lambda: time.sleep(next(delays)), repeats=3)
    assert first >= 0.2
    assert len(times) == 3
    assert median == sorted(times)[1]
    assert 0.01 <= min(times) <= median < first


def test_median_time_takes_functions_of_arrays():
    calls = []
    machine.median_time(lambda: calls.append(0) or {"a": jnp.arange(3)}, repeats=2)
    assert len(calls) == 3


def test_median_time_needs_a_repeat():
    with pytest.raises(ValueError, match="0 repeats"):
        machine.median_time(lambda: None, repeats=0)


@pytest.mark.nightly
def test_peak_memory_counts_what_is_touched():
    code = """
import numpy as np
from benchmarks import machine
before = machine.peak_memory_bytes()
block = np.ones(before // 8 + 2**23)
assert machine.peak_memory_bytes() >= block.nbytes
assert machine.peak_memory_bytes() < 100 * (block.nbytes + before)
"""
    # A process of its own: one that has run other tests is so large that as much again takes long.
    subprocess.run([sys.executable, "-c", code], check=True)


def test_processor_model_reads_cpuinfo(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 2\nmodel name\t: Some Processor 9000\n")
    assert machine.processor_model(cpuinfo) == "Some Processor 9000"
    assert machine.processor_model(tmp_path / "absent") != ""


def test_describe_machine_names_no_host_and_no_path():
    described = machine.describe_machine()
    text = json.dumps(described)
    assert str(pathlib.Path.home()) not in text
    assert platform.node() not in described.values()
    assert described["python"] == platform.python_version()
    assert 1 <= described["cores"] <= (os.cpu_count() or 1)


def test_write_result_stamps_the_values(tmp_path):
    path = machine.write_result("some-case", {"seconds": 1.5}, folder=tmp_path / "results")
    written = json.loads(path.read_text())
    assert path == tmp_path / "results" / "some-case.json"
    assert written["seconds"] == 1.5
    assert written["machine"] == machine.describe_machine()
    assert set(written) == {"date", "commit", "machine", "seconds"}


@pytest.mark.parametrize("name", ["", "../outside", "a/b", "a b"])
def test_write_result_refuses_names_that_are_no_file_names(tmp_path, name):
    with pytest.raises(ValueError, match="file name"):
        machine.write_result(name, {}, folder=tmp_path)


def test_write_result_refuses_values_that_hide_its_own(tmp_path):
    with pytest.raises(ValueError, match="date"):
        machine.write_result("case", {"date": "today"}, folder=tmp_path)


def test_write_result_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError):
        machine.write_result("case", {"seconds": float("nan")}, folder=tmp_path)
    assert not list(tmp_path.iterdir())
