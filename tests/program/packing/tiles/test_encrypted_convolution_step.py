"""A training step of a convolutional network of Flax on ciphertexts, in tiles, in a small ring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fhejax as fhe

BATCH, CLASSES = 8, 2


class Network(nnx.Module):
    """A convolution, z^2 + z, a dense layer on 2x3 positions of two maps, of which each is an axis."""

    def __init__(self, rngs):
        self.convolution = nnx.Conv(1, 2, (2, 2), strides=2, use_bias=False, rngs=rngs)
        self.dense = nnx.Linear(12, CLASSES, use_bias=False, rngs=rngs)

    def __call__(self, images):
        z = self.convolution(images)
        return self.dense((z * z + z).reshape(len(images), -1))


STRUCTURE, STATE = nnx.split(Network(nnx.Rngs(0)), nnx.Param)


def loss(parameters, images, targets):
    filled = jax.tree.map(lambda leaf: leaf, STATE)
    nnx.replace_by_pure_dict(filled, parameters)
    outputs = nnx.merge(STRUCTURE, filled)(images)
    return jnp.mean(jnp.sum((outputs - targets) ** 2, 1))


def step(parameters, images, targets):
    """Gradient descent, by plain jax.grad."""
    gradient = jax.grad(loss)(parameters, images, targets)
    return jax.tree.map(lambda p, g: p - 0.125 * g, parameters, gradient)


@pytest.fixture(scope="module")
def values():
    generator = np.random.default_rng(0)
    images = generator.uniform(-1, 1, (BATCH, 4, 6, 1)).astype(np.float32)
    targets = np.eye(CLASSES, dtype=np.float32)[generator.integers(0, CLASSES, BATCH)]
    return jax.tree.map(np.asarray, nnx.to_pure_dict(STATE)), images, targets


@pytest.fixture(scope="module")
def program(values):
    parameters, images, targets = values
    weights = jax.tree.map(lambda a: fhe.Encrypted(a.shape, range=(-1, 1), batch_axis=None), parameters)
    described = weights, fhe.Encrypted(images.shape), fhe.Encrypted(targets.shape, range=(0, 1))
    return fhe.compile(
        step,
        *described,
        packing="tiles",
        sample=tuple(jax.tree.leaves(values)),
        margin=2.0,
        insecure_log_degree=10,
        device="cpu",
        bootstrapping=False,
    )


@pytest.fixture(scope="module")
def keys(program):
    return program.keygen()


@pytest.fixture(scope="module")
def uploaded(program, keys, values):
    return program.encrypt(keys[0], *values)


def _is_array(value):
    return hasattr(value, "layout")


def test_kernels_and_weights_are_those_of_the_step_in_the_clear(program, keys, uploaded, values):
    """Within the noise that was predicted before any key existed."""
    secret, evaluation_keys = keys
    found = program.decrypt(secret, program(evaluation_keys, *uploaded))
    wanted = step(*values)
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for given, sent in zip(
        jax.tree.leaves(values), jax.tree.leaves(uploaded, is_leaf=_is_array), strict=True
    ):
        np.testing.assert_allclose(program.decrypt(secret, sent), given, atol=1e-2)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    for (one, other), before, predicted in zip(
        pairs, jax.tree.leaves(values[0]), program.plan.predicted_errors, strict=True
    ):
        assert np.sqrt(np.mean((one - other) ** 2)) < 4 * predicted < 2e-2
        assert np.abs(other - before).max() > 10 * predicted


def test_images_come_as_patches(uploaded):
    """Windows lie side by side, so that taps and positions are bits of the same two axes."""
    _, images, _ = uploaded
    assert images.layout.shape == (BATCH, 4, 6, 1)
    along_rows = [digit.step(1) for digit in images.layout.digits if digit.step(1)]
    assert sorted(along_rows) == [1, 2]
