"""A training step in tiles on ciphertexts: results, noise, files, and what is refused at a call."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax as fhe

FEATURES, BATCH, CLASSES = 3, 6, 2


def linear_step(weights, x, y):
    """Gradient descent on the mean square error, its gradient written out."""
    return weights - 0.5 * (x.T @ (x @ weights - y)) / len(x)


@pytest.fixture(scope="module")
def program():
    weights = fhe.Encrypted((FEATURES, CLASSES), batch_axis=None)
    x, y = fhe.Encrypted((BATCH, FEATURES)), fhe.Encrypted((BATCH, CLASSES))
    return fhe.compile(
        linear_step, weights, x, y, packing="tiles", insecure_log_degree=8, device="cpu", bootstrapping=False
    )


@pytest.fixture(scope="module")
def values():
    generator = np.random.default_rng(0)
    shapes = (FEATURES, CLASSES), (BATCH, FEATURES), (BATCH, CLASSES)
    return [generator.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


@pytest.fixture(scope="module")
def keys(program):
    return program.keygen()


def test_a_step_is_that_of_the_function(program, values, keys, tmp_path_factory):
    """Also by a server and a client that were saved, and after the arguments were."""
    folder = tmp_path_factory.mktemp("halves")
    program.save_server(folder / "server")
    program.save_client(folder / "client")
    server, client = (
        load(folder / name, allow_insecure=True)
        for load, name in ((fhe.load_server, "server"), (fhe.load_client, "client"))
    )
    secret, evaluation = keys
    arguments = client.encrypt(secret, *values)
    result = server(evaluation, *arguments)
    found = client.decrypt(secret, result)
    wanted, fixed = linear_step(*map(jnp.asarray, values)), program.simulate(*values)
    np.testing.assert_allclose(program.clear(*values), wanted, atol=1e-6)
    error = np.sqrt(np.mean((found - wanted) ** 2))
    assert error < 2 * program.plan.predicted_errors[0]
    assert np.abs(found - fixed).max() < 6 * program.plan.predicted_noise[0]
    for argument, value in zip(arguments, values, strict=True):
        np.testing.assert_allclose(client.decrypt(secret, argument), value, atol=2e-3)


def test_weights_take_one_ciphertext_each(program, values, keys):
    weights, x, _ = program.encrypt(keys[0], *values)
    assert weights.data.shape[:2] == x.data.shape[:2] == (1, 1)
    assert "tiles" in program.report()


def test_another_batch_is_refused(program, values, keys):
    with pytest.raises(ValueError, match=r"\(6, 3\)"):
        program.encrypt(keys[0], values[0], values[1][:4], values[2][:4])


def test_values_outside_of_their_range_are_refused(program, values, keys):
    with pytest.raises(ValueError, match="range"):
        program.encrypt(keys[0], 2 * values[0] + 1, *values[1:])


def test_an_array_of_another_packing_is_refused(program, values, keys):
    weights, x, y = program.encrypt(keys[0], *values)
    with pytest.raises(ValueError, match="another packing"):
        program(keys[1], dataclasses.replace(weights, layout=x.layout), x, y)


def test_every_node_is_verified(program, values):
    """Each step's slots, encrypted, against the clear."""
    layers = program.verify(*values).layers
    assert len(layers) > 8
    assert max(layer.largest_error for layer in layers) < 2e-2
