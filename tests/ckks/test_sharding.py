"""Ciphertexts laid out over eight forced host devices, in one process and in two."""

import os
import pathlib
import socket
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = pathlib.Path(__file__).with_name("sharding_worker.py")


def start(number: int, processes: int, port: int) -> subprocess.Popen:
    devices = f"--xla_force_host_platform_device_count={8 // processes}"
    flags = {"XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {devices}", "JAX_PLATFORMS": "cpu"}
    variables = {**os.environ, **flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, WORKER, str(number), str(processes), str(port)]
    return subprocess.Popen(
        command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.nightly), 2])
def test_sharded_ciphertexts_give_the_same_bits(processes):
    port = free_port()
    workers = [start(number, processes, port) for number in range(processes)]
    try:
        answers = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    for worker, answer in zip(workers, answers, strict=True):
        assert worker.returncode == 0, answer[-3000:]
        assert "layouts agree over 8 devices" in answer
