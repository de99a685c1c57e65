"""Training with fixed polynomials: its penalty, its batches, and that it can be stopped anywhere."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn
from fhejax.nn.training.bounded_training import chosen_images

CONFIG = nn.BoundedTraining(
    steps=6,
    batch_size=8,
    learning_rate=0.05,
    threshold=1.5,
    moments_every=2,
    moment_images=16,
    worst_images=4,
)


class Small(nn.Network):
    """A dense layer, a quadratic for each unit, a dense layer."""

    image_shape = (2, 2, 1)

    def __init__(self, *, rngs):
        self.hidden = nnx.Linear(4, 3, rngs=rngs)
        self.activation = nn.PolynomialActivation(2, features=3)
        self.output = nnx.Linear(3, 2, rngs=rngs)

    def layers(self):
        return (lambda x: x.reshape(x.shape[0], 4), self.hidden, self.activation, self.output)


def data(count=24):
    images = np.random.default_rng(0).normal(size=(count, 2, 2, 1)).astype(np.float32)
    return images, (images.sum((1, 2, 3)) > 0).astype(np.int32)


def test_the_penalty_is_that_of_the_formula():
    network, (images, _) = Small(rngs=nnx.Rngs(0)), data()
    moments = nn.input_moments(network, images)
    hidden = np.asarray(network.hidden(images.reshape(-1, 4)))
    np.testing.assert_allclose(moments[0], (hidden.mean(0), hidden.std(0)), rtol=1e-4, atol=1e-6)
    outputs, excess = nn.outputs_and_outliers(network, images, moments, 1.5)
    np.testing.assert_allclose(outputs, network(images), rtol=1e-5)
    beyond = np.maximum(np.abs(hidden - hidden.mean(0)) / hidden.std(0) - 1.5, 0)
    np.testing.assert_allclose(excess, np.log1p((beyond**2).sum(1)), rtol=1e-3, atol=1e-4)
    assert 0 < np.sum(np.asarray(excess) > 0) < len(images)
    with pytest.raises(ValueError, match="1 activations, but moments of 2"):
        nn.outputs_and_outliers(network, images, moments * 2, 1.5)


def test_training_learns_within_bounds_and_goes_on_from_any_state():
    network, (images, labels) = Small(rngs=nnx.Rngs(0)), data()
    state, step, trained = nn.bounded_training(network, images, labels, CONFIG, nn.shift_and_flip)
    states, losses = [state], []
    for _ in range(CONFIG.steps):
        state, metrics = step(state)
        states.append(state)
        losses.append(metrics["loss"])
    assert int(state.step) == 6 and np.isfinite(losses).all()
    # Another process reads the state of step 3, as numbers alone.
    first, step, trained = nn.bounded_training(network, images, labels, CONFIG, nn.shift_and_flip)
    again = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), states[3])
    assert jax.tree.structure(again) == jax.tree.structure(first)
    for number in (4, 5, 6):
        again, _ = step(again)
        for found, given in zip(jax.tree.leaves(again), jax.tree.leaves(states[number]), strict=True):
            np.testing.assert_array_equal(found, given)
    before, after = network.hidden.kernel[...], trained(again).hidden.kernel[...]
    assert np.abs(before - after).max() > 1e-4
    np.testing.assert_array_equal(before, Small(rngs=nnx.Rngs(0)).hidden.kernel[...])


def test_a_longer_training_keeps_images_nearer():
    network, (images, labels) = Small(rngs=nnx.Rngs(0)), data()
    config = dataclasses.replace(CONFIG, steps=60, outlier_weight=1.0, moments_every=1000)
    state, step, trained = nn.bounded_training(network, images, labels, config)
    moments = state.moments
    for _ in range(config.steps):
        state, _ = step(state)
    excess = [nn.outputs_and_outliers(n, images, moments, 1.5)[1].mean() for n in (network, trained(state))]
    assert excess[1] < 0.5 * excess[0]


def test_batches_hold_some_of_the_furthest_images():
    excess = np.zeros(24, np.float32)
    assert sorted(chosen_images(excess, CONFIG, 3)) == sorted(set(chosen_images(excess, CONFIG, 3)))
    excess[[5, 9]] = 2.0, 1.0
    config = dataclasses.replace(CONFIG, worst_share=0.25)
    batches = [chosen_images(excess, config, step) for step in range(20)]
    assert all(set(batch) >= {5, 9} and len(set(batch)) == 8 for batch in batches)
    assert len({tuple(batch) for batch in batches}) == 20


def test_what_cannot_be_trained_is_refused():
    network, (images, labels) = Small(rngs=nnx.Rngs(0)), data()
    for wrong in ((images, labels[1:]), (images[:4], labels[:4])):
        with pytest.raises(ValueError, match="in batches of 8 needs"):
            nn.bounded_training(network, *wrong, CONFIG)
    config = dataclasses.replace(CONFIG, learning_rate=1e30, gradient_clip=1e30)
    state, step, _ = nn.bounded_training(network, images, labels, config)
    with pytest.raises(ValueError, match=r"at step .* diverged"):
        for _ in range(6):
            state, _ = step(state)
