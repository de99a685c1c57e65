"""Kernels of a long program, compiled before its first run."""

import dataclasses
import logging

import jax
import numpy as np
import pytest

import fhejax as fhe
from fhejax.program.run import blocks
from fhejax.ring.platform import current_device

SAMPLES = 8


def variance(x):
    """Of each feature: products, a sum over the batch, and a product of sums."""
    mean = x.mean(0)
    return (x * x).mean(0) - mean * mean


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_the_first_run_compiles_no_key_switch(monkeypatch, caplog):
    device = current_device()
    ahead = dataclasses.replace(device.blocks, compiled_ahead_from=1, compiled_steps=0)
    monkeypatch.setattr(blocks, "current_device", lambda: dataclasses.replace(device, blocks=ahead))
    program = fhe.compile(variance, fhe.Encrypted((SAMPLES, 3)), insecure_log_degree=5)
    secret, keys = program.keygen()
    x = np.random.default_rng(0).uniform(-1, 1, (SAMPLES, 3)).astype(np.float32)
    argument = program.encrypt(secret, x)
    with jax.log_compiles(), caplog.at_level(logging.WARNING, logger="jax"):
        result = program(keys, argument)
    said = [record.getMessage() for record in caplog.records]
    switches = [text for text in said if "_relinearise" in text or "_rotate" in text]
    assert any(text.startswith("Compiling") for text in switches)  # by threads, which JAX does not log
    assert not [text for text in switches if text.startswith("Finished XLA compilation")]
    np.testing.assert_allclose(program.decrypt(secret, result), variance(x), atol=1e-2)
