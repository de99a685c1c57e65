"""Keys and encryption where each launch takes time, as on a GPU: one executable each, with the same bits."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from executables import executables

import fhejax
from fhejax import ckks
from fhejax.program import client_program
from fhejax.program.run import client
from fhejax.program.run.filling import Filling
from fhejax.ring.platform import DEVICES

ENTRIES = 9  # more than go one by one, and not as many as two equal parts hold
RANDOM = jax.random.key_data(ckks.keys.key_from_bytes(bytes(range(32))))


def random():
    """The same key each time, which JAX takes for a new one."""
    return jax.random.wrap_key_data(RANDOM, impl=jax.random.key_impl(ckks.random_key()))


@pytest.fixture(scope="module")
def program():
    """A sum over the batch: two rotations and relinearisation."""
    described = fhejax.Encrypted((4, ENTRIES), public_key=True)
    return fhejax.compile(lambda x: (x * x).sum(0), described, insecure_log_degree=4, device="cpu")


def forced(monkeypatch, row, most):
    """This row, with so many ciphertexts at most in one part of an encryption."""
    changed = dataclasses.replace(row, blocks=dataclasses.replace(row.blocks, encrypted=most))
    for module in (client, client_program):
        monkeypatch.setattr(module, "current_device", lambda: changed)


@functools.cache
def in_tiles():
    """Of ciphertexts that hold one sample each, and of numbers that all samples share."""
    described = fhejax.Encrypted((3, 2), batch_axis=None), fhejax.Encrypted((6, 3)), fhejax.Encrypted((6, 2))
    options = {"packing": "tiles", "insecure_log_degree": 5, "device": "cpu", "bootstrapping": False}
    return fhejax.compile(lambda w, x, y: w - 0.5 * (x.T @ (x @ w - y)) / 6, *described, **options)


def test_other_arguments_are_those_of_a_cpu(monkeypatch):
    values = [
        np.random.default_rng(0).uniform(-0.9, 0.9, s).astype(np.float32) for s in ((3, 2), (6, 3), (6, 2))
    ]
    forced(monkeypatch, DEVICES["cpu"], 64)
    secret, _ = in_tiles().keygen()
    right = in_tiles().encrypt(secret, *values, random=random())
    forced(monkeypatch, DEVICES["h200"], 64)
    agree(in_tiles().encrypt(secret, *values, random=random()), right)


@pytest.mark.parametrize("samples", [3, 40])
def test_samples_fill_slots_on_the_device(samples):
    """One block that repeats its samples with a period, and two that are not full."""
    entries = np.random.default_rng(0).uniform(-1, 1, (5, samples)).astype(np.float32)
    filling = Filling(2, 32, 64, 0.5) if samples > 32 else Filling(1, 32, 4, 0.5)
    found = filling.filled(jnp.asarray(entries), jnp)
    right = filling.filled(entries, np)
    assert right.shape == (filling.blocks, 5, 32)
    assert (np.asarray(found) == right).all()
    flat = np.moveaxis(right, 1, 0).reshape(5, -1)
    assert (flat[:, :samples] == entries).all()
    assert (flat[:, samples : filling.columns] == 0.5).all()
    assert (flat == np.tile(flat[:, : filling.columns], flat.shape[1] // filling.columns)).all()


def agree(found, right):
    assert jax.tree.structure(found) == jax.tree.structure(right)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True)
    assert all((one == other).all() for one, other in pairs)


def test_keys_and_ciphertexts_are_those_of_a_cpu(program, monkeypatch):
    """Beside the executables counted here, encryption splits its random key for its arguments."""
    values = np.random.default_rng(0).uniform(-1, 1, (4, ENTRIES)).astype(np.float32)
    forced(monkeypatch, DEVICES["cpu"], 5)
    given = [random() for _ in range(5)]
    secret, keys = program.keygen(random=given[0])
    sent = program.encrypt(secret, values, random=given[1])
    public = ckks.public_key(given[2], secret)
    publicly = program.encrypt(public, values, random=random())
    forced(monkeypatch, DEVICES["h200"], 5)
    with executables() as made:
        found = program.keygen(random=given[3])
    assert made == [1]
    agree(found, (secret, keys))
    with executables() as made:
        found = program.encrypt(secret, values, random=given[4])
    assert made == [1]
    agree(found, sent)
    agree(program.encrypt(public, values, random=random()), publicly)
