"""Whole programs as a GPU's row would have them run, on this machine: the same bits as by its own row."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.ring import key_from_bytes, platform
from fhejax.ring.platform import DEVICES, TWO_CORES

# The row in all that a CPU can run: its kernels of the transform are tried elsewhere.
CARD = dataclasses.replace(DEVICES["h200"], transform_method="butterflies")


def results(x, weights):
    """What is computed from fixed keys by the current row, nothing found that was traced for another."""
    jax.clear_caches()
    first, second = weights
    described = fhejax.Encrypted(x.shape, range=(0, 1))

    def network(x):
        return jnp.square(jnp.square(x @ first) @ second) @ second.T

    program = fhejax.compile(network, described, device="cpu", insecure_log_degree=6)
    secret, keys = program.keygen(random=key_from_bytes(bytes(32)))
    sent = program.encrypt(secret, x, random=key_from_bytes(bytes([1] * 32)))
    result = program(keys, sent)
    return [*map(np.asarray, (sent.data, sent.seeds, result.data)), program.decrypt(secret, result)]


@pytest.mark.nightly
def test_a_program_by_the_row_of_a_card_has_the_bits_of_a_cpu(monkeypatch):
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=shape).astype(np.float32) / 4 for shape in ((9, 12), (12, 3))]
    x = generator.uniform(0, 1, (50, 9)).astype(np.float32)
    assert platform.current_device() == TWO_CORES
    right = results(x, weights)
    monkeypatch.setattr(platform, "_row_of", lambda backend: CARD)
    found = results(x, weights)
    jax.clear_caches()
    assert len(found) == len(right) == 4
    for one, other in zip(found, right, strict=True):
        assert one.dtype == other.dtype
        assert (one == other).all()
