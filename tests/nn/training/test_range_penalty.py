"""The penalty of inputs near and beyond their interval, alone and in training."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


class OneActivation(nnx.Module):
    def __init__(self, activation):
        self.activation = activation

    def __call__(self, x):
        return self.activation(x)


def test_the_formula():
    x = jnp.asarray([[0.0, 5.0], [-3.0, 2.0]], jnp.float32)
    network = OneActivation(nn.PolynomialActivation(2, interval=(-1.0, 3.0)))
    # The interval has its middle at 1 and the radius 2.
    unit = np.abs(np.array([-0.5, 2.0, -2.0, 0.5]))
    expected = np.mean(np.maximum(unit - 0.4, 0) ** 2)
    for evaluate in (nn.range_penalty, jax.jit(nn.range_penalty, static_argnums=2)):
        assert float(evaluate(network, x, 0.4)) == pytest.approx(expected, rel=1e-6)
    assert float(nn.range_penalty(network, x / 10, 0.9)) == 0.0
    scaled = OneActivation(nn.PolynomialActivation(2, interval=(-1.0, 3.0), scaling="trained"))
    scaled.activation.log_scale[...] = jnp.log(jnp.float32(2.0))
    np.testing.assert_allclose(nn.range_penalty(scaled, 2 * x, 0.4), expected, rtol=1e-5)


def test_every_kind_of_activation_counts_with_its_interval():
    x = jnp.full((4, 2), 6.0, jnp.float32)
    dynamic = nn.PolynomialActivation(2, interval=(-2.0, 2.0), scaling="dynamic")
    for activation, expected in (
        (nn.HermiteActivation(2, interval=(-4.0, 4.0)), 0.25),
        (nnx.view(dynamic, use_running_average=True), 4.0),
    ):
        assert float(nn.range_penalty(OneActivation(activation), x, 1.0)) == pytest.approx(expected)


def test_gradients_push_the_input_in_and_the_range_out():
    network = OneActivation(nn.PolynomialActivation(2, scaling="trained"))
    x = jnp.asarray([[5.0, -6.0, 1.0]], jnp.float32)
    to_network = nnx.grad(nn.range_penalty)(network, x)
    assert float(to_network["activation"]["log_scale"][...]) < 0
    to_input = jax.grad(nn.range_penalty, argnums=1)(network, x)
    assert np.sign(to_input).tolist() == [[1.0, -1.0, 0.0]]


def test_outputs_come_from_the_same_pass():
    network = nn.Digits(rngs=nnx.Rngs(0))
    images = np.random.default_rng(0).random((8, 8, 8, 1), np.float32)
    expected = nnx.clone(network)(images)
    outputs, penalty = nn.outputs_and_penalty(network, images, 0.1)
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
    assert penalty.shape == () and penalty > 0


def largest_input(network, images):
    return float(np.max(np.abs(nn.profile(network, images)[0])))


def test_training_with_it_keeps_inputs_inside_and_accuracy():
    digits = nn.load_digits()
    config = nn.TrainingConfig(epochs=15, batch_size=64, learning_rate=1e-2, average_decay=0.98)
    penalised = replace(config, range_weight=30.0, range_margin=0.4)
    networks = [
        nn.train(nn.Digits(rngs=nnx.Rngs(0)), digits.train_images, digits.train_labels, recipe)[0]
        for recipe in (config, penalised)
    ]
    free, kept = (largest_input(network, digits.test_images) for network in networks)
    assert kept < 0.75 * free and kept < 4.0
    assert nn.accuracy(networks[1], digits.test_images, digits.test_labels) >= 0.95
    assert not jax.tree.leaves(nnx.state(networks[1], nnx.Intermediate))


def test_what_has_no_interval_is_refused():
    images = np.zeros((64, 28, 28, 1), np.float32)
    with pytest.raises(ValueError, match="CryptoNets has no PolynomialActivation"):
        nn.range_penalty(nn.CryptoNets(rngs=nnx.Rngs(0)), images)
    config = nn.TrainingConfig(epochs=1, batch_size=64, range_weight=1.0)
    with pytest.raises(ValueError, match="CryptoNets has no PolynomialActivation"):
        nn.train(nn.CryptoNets(rngs=nnx.Rngs(0)), images, np.zeros(64, np.int32), config)
    with pytest.raises(ValueError, match="margin of the range"):
        nn.range_penalty(OneActivation(nn.PolynomialActivation(2)), images, 0.0)
