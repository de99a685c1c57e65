"""SmartPAF's schedules: in turns, one by one, and from ReLU to polynomials end to end."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from fhejax import nn

CONFIG = nn.TrainingConfig(epochs=20, batch_size=64, learning_rate=1e-2, average_decay=0.98)


@pytest.fixture(scope="module")
def digits():
    return nn.load_digits()


@pytest.fixture(scope="module")
def relu(digits):
    model = nn.exact_twin(nn.Digits(rngs=nnx.Rngs(0)))
    return nn.train(model, digits.train_images, digits.train_labels, CONFIG)[0]


def test_replacement_schedule():
    schedule = nn.replacement_schedule(3, 2, start=1)
    assert [schedule(epoch) for epoch in range(9)] == [0, 1, 1, 2, 2, 3, 3, 3, 3]
    with pytest.raises(ValueError, match="period is at least 1"):
        nn.replacement_schedule(3, 0)
    with pytest.raises(ValueError, match="number of activations is at least 0"):
        nn.replacement_schedule(-1, 1)
    with pytest.raises(TypeError, match="first epoch is an integer"):
        nn.replacement_schedule(3, 1, start=0.5)


def test_groups_of_parameters():
    model = nn.Digits(rngs=nnx.Rngs(0))
    model.square = nn.PolynomialActivation(3, scaling="trained")
    groups = nn.parameter_groups(nnx.state(model, nnx.Param))
    flat = nnx.to_flat_state(groups)
    named = {".".join(map(str, path)): variable.get_value() for path, variable in flat}
    chosen = {name for name, group in named.items() if group == "coefficients"}
    assert chosen == {"polynomial.coefficients", "square.coefficients", "square.log_scale"}
    assert {group for name, group in named.items() if name not in chosen} == {"weights"}


def test_one_group_moves_at_a_time():
    model = nn.Digits(rngs=nnx.Rngs(0))
    model.square = nn.PolynomialActivation(3, scaling="trained")
    definition, parameters, other = nnx.split(model, nnx.Param, ...)
    optimiser = nn.alternate(optax.adam(1e-2), optax.adam(1e-3), period=2)
    images = np.random.default_rng(0).random((16, 8, 8, 1), np.float32)

    @jax.jit
    def step(parameters, state):
        def loss(parameters):
            return jnp.mean(nnx.merge(definition, parameters, other, copy=True)(images) ** 2)

        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(jax.grad(loss)(parameters), state, parameters)
        return optax.apply_updates(parameters, updates), state

    labels = jax.tree.leaves(nn.parameter_groups(parameters))
    state = optimiser.init(parameters)
    for group in ["coefficients"] * 2 + ["weights"] * 2 + ["coefficients"]:
        moved, state = step(parameters, state)
        pairs = zip(labels, jax.tree.leaves(parameters), jax.tree.leaves(moved), strict=True)
        for label, before, after in pairs:
            # Some weights have no gradient: a bias before a normalisation, for one.
            assert label == group or np.array_equal(before, after)
            assert label != "coefficients" or label != group or np.any(before != after)
        assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (parameters, moved)), strict=True))
        parameters = moved


def test_the_first_adam_step_has_the_rate_of_its_group():
    parameters = {"weight": nnx.Param(jnp.ones(3)), "shape": nn.Coefficients(jnp.ones(2))}
    parameters = nnx.State(parameters)
    gradient = jax.tree.map(jnp.ones_like, parameters)
    optimiser = nn.alternate(period=1)
    state = optimiser.init(parameters)
    with jax.numpy_dtype_promotion("standard"):
        first, state = optimiser.update(gradient, state, parameters)
        second, _ = optimiser.update(gradient, state, parameters)
    np.testing.assert_allclose(first["shape"][...], -1e-4, rtol=1e-4)
    np.testing.assert_array_equal(first["weight"][...], 0.0)
    np.testing.assert_array_equal(second["shape"][...], 0.0)
    np.testing.assert_allclose(second["weight"][...], -1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="period is at least 1"):
        nn.alternate(period=0)


def test_train_with_an_alternating_optimiser(digits):
    model = nn.Digits(rngs=nnx.Rngs(0))
    config = replace(CONFIG, epochs=1, batch_size=128, average_decay=0.0)
    frozen = nn.alternate(optax.sgd(1e-2), optax.sgd(1e-2), period=1000)
    trained, _ = nn.train(model, digits.train_images, digits.train_labels, config, optimiser=frozen)
    np.testing.assert_array_equal(trained.output.kernel[...], model.output.kernel[...])
    assert np.any(trained.polynomial.coefficients[...] != model.polynomial.coefficients[...])


def test_from_relu_to_polynomials(digits, relu):
    make = functools.partial(nn.fit_activation, degree=4, scaling="dynamic")
    network, history = nn.train_progressively(
        relu,
        digits.train_images,
        digits.train_labels,
        replace(CONFIG, epochs=4),
        schedule=nn.replacement_schedule(2, 2),
        make_activation=make,
        optimiser=nn.alternate(optax.adam(1e-3), optax.adam(3e-4), period=5),
        teacher=relu,
    )
    assert [epoch.index for epoch in history] == [0, 1, 2, 3]
    assert [layer.function for layer in nn.activation_layers(relu)] == ["relu", "relu"]
    static = nn.fold_activations(network)
    assert [layer.scaling for layer in nn.activation_layers(static)] == ["fixed", "fixed"]
    reference = nn.accuracy(relu, digits.test_images, digits.test_labels)
    reached = nn.accuracy(static, digits.test_images, digits.test_labels)
    assert reference >= 0.97 and reached >= reference - 0.015
    np.testing.assert_allclose(static(digits.test_images), network(digits.test_images), rtol=1e-3, atol=1e-3)


def test_a_replaced_activation_sees_its_profile(digits, relu):
    shapes = []

    def make(samples):
        shapes.append(samples.shape)
        return nn.Square()

    config = replace(CONFIG, epochs=1, learning_rate=1e-4)
    arguments = relu, digits.train_images, digits.train_labels, config
    network, _ = nn.train_progressively(
        *arguments, schedule=lambda epoch: 2, make_activation=make, samples=32
    )
    assert shapes == [(32 * 36, 16), (32, 32)]
    assert all(isinstance(layer, nn.Square) for layer in nn.activation_layers(network))
    for bad in (3, -1):
        with pytest.raises(ValueError, match=f"the schedule asks for {bad} replaced"):
            nn.train_progressively(*arguments, schedule=lambda epoch, bad=bad: bad, make_activation=make)


def test_training_with_noise_does_not_reach_inference(digits):
    kernels, config = [], replace(CONFIG, epochs=1)
    for noise in (lambda coefficients: 1e-2 * jnp.sum(coefficients**2), None):
        model = nn.Digits(rngs=nnx.Rngs(0))
        model.polynomial = nn.PolynomialActivation(2, features=16, noise=noise, rngs=nnx.Rngs(5))
        network, _ = nn.train(model, digits.train_images, digits.train_labels, config)
        kernels.append(np.asarray(network.output.kernel[...]))
        images = digits.test_images[:16]
        np.testing.assert_array_equal(network(images), network(images))
    assert np.any(kernels[0] != kernels[1]) and np.all(np.isfinite(kernels[0]))
