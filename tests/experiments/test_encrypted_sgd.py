"""Encrypted training before any key exists: data, step, oracle, dry run."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import encrypted_sgd
from experiments.encrypted_training import data, networks
from experiments.encrypted_training.dry_run import dry_run
from experiments.encrypted_training.oracle import clear_run, noise_of_bits, predicted_differences
from experiments.encrypted_training.recipes import RECIPES
from experiments.encrypted_training.training import accuracy, make_training
from fhejax import nn


@pytest.fixture(scope="module")
def training():
    return make_training("64-32-10", "digits", steps=20)


@pytest.fixture(scope="module")
def oracle(training):
    return clear_run(training)


def mnist_of(images):
    """The images as a data set of MNIST's shape, every second one a 3 and the others 8."""
    labels = np.where(np.arange(len(images)) % 2, 8, 3).astype(np.int32)
    return nn.Dataset(images, labels, images[:10], labels[:10])


def test_mnist_becomes_means_of_its_middle():
    images = np.random.default_rng(0).uniform(size=(3, 28, 28)).astype(np.float32)
    found = data.averaged(images, 8)
    assert found[1, 2, 3] == pytest.approx(images[1, 8:11, 11:14].mean(), rel=1e-6)
    assert data.averaged(images, 14)[2, 13, 0] == pytest.approx(images[2, 26:28, :2].mean(), rel=1e-6)


def test_principal_components_are_uncorrelated_and_sorted():
    samples = np.random.default_rng(0).normal(size=(500, 80)) * np.linspace(1, 3, 80)
    train, test = data.principal_components(samples, samples[:7])
    covariance = np.cov(train.T)
    variances = np.diag(covariance)
    assert np.all(np.diff(variances) < 0) and train.shape == (500, 64)
    np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-9)
    np.testing.assert_allclose(test, train[:7], rtol=1e-9, atol=1e-12)


def test_inputs_are_centred_and_within_their_range():
    images = np.random.default_rng(0).uniform(size=(200, 28, 28, 1)).astype(np.float32)
    for prepared in (data.prepare(mnist_of(images), "8x8", 2.0), data.prepare(mnist_of(images), "pca", 2.0)):
        assert prepared.inputs.shape == (200, 64) and np.abs(prepared.inputs).max() == pytest.approx(2)
        np.testing.assert_allclose(prepared.inputs.mean(0), 0, atol=1e-5)
        np.testing.assert_array_equal(prepared.targets.argmax(1), mnist_of(images).train_labels)
    two = data.prepare_two_classes(mnist_of(images), 1.0)
    assert two.inputs.shape == (200, 196)
    np.testing.assert_array_equal(two.targets[:4, 0], [0, 1, 0, 1])


def test_every_sample_is_used_once_before_any_is_used_again():
    batches = data.batch_indices(10, 4, 5, seed=0)
    assert batches.shape == (5, 4)
    for epoch in (batches[:2], batches[2:4]):
        assert len(set(epoch.reshape(-1))) == 8
    with pytest.raises(ValueError, match="a batch of 11"):
        data.batch_indices(10, 11, 1, seed=0)


def test_a_convolution_is_told_from_dense_layers():
    training = make_training("cnn", "digits", steps=2)
    first, second = (training.parameters["layers"][n] for n in (0, 1))
    assert first["kernel"].shape == (4, 4, 1, 8) and second["kernel"].shape == (128, 10)
    x, _ = training.batch(0)
    window = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))[:, 2:6, 4:8]  # at row 1 and column 2 of 4x4
    z, _ = training.preactivations(training.parameters, x)
    expected = np.tensordot(window, first["kernel"], ((1, 2, 3), (0, 1, 2)))
    np.testing.assert_allclose(z[:, 1, 2], expected, atol=1e-5)


def test_the_step_is_nesterovs_method_by_hand(training):
    x, y = training.batch(0)
    parameters, momenta = training.step(training.parameters, training.momenta, x, y)
    first, second = (training.parameters["layers"][n] for n in (0, 1))
    z = x @ first["kernel"]
    output = (z**2 + z) @ second["kernel"]
    gradient = (z**2 + z).T @ (2 * (output - y)) / len(x)
    np.testing.assert_allclose(momenta["layers"][1]["kernel"], gradient, atol=1e-5)
    expected = second["kernel"] - training.recipe.rate * 1.9 * gradient
    np.testing.assert_allclose(parameters["layers"][1]["kernel"], expected, atol=1e-5)


def test_the_derivative_of_softplus_is_the_certified_sigmoid():
    z = jnp.linspace(-12, 12, 101)
    derivative = jax.vmap(jax.grad(networks.softplus()))(z)
    np.testing.assert_allclose(derivative, networks.sigmoid()(z), atol=1e-5)
    largest = np.abs(np.asarray(derivative) - 1 / (1 + np.exp(-np.asarray(z)))).max()
    assert largest <= networks.sigmoid().certificate.error + 1e-5


def test_noise_enters_the_value_and_the_gradient():
    value, forward, backward = (jnp.array([v]) for v in (1.0, 0.25, 0.5))
    found, pullback = jax.vjp(networks.disturbed, value, forward, backward)
    assert found[0] == 1.25
    assert [float(g[0]) for g in pullback(jnp.array([2.0]))] == [2.5, 0.0, 0.0]


def test_the_oracle_takes_the_steps(training, oracle):
    carried = training.parameters, training.momenta
    for number in range(3):
        carried = training.step(*carried, *training.batch(number))
    found = jax.tree.map(lambda leaf: leaf[3], (oracle.parameters, oracle.momenta))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), found, carried)
    assert oracle.accuracy[2] == pytest.approx(accuracy(training, oracle.parameters_after(3)))


def test_digits_are_learnt_in_few_steps(oracle):
    assert oracle.accuracy[-1] > 0.92 and len(oracle.accuracy) == 20


def test_noise_is_as_large_as_is_said(training, oracle):
    noisy = clear_run(training, noise_of_bits(training, 12))
    error = noisy.momenta["layers"][1]["kernel"][1] - oracle.momenta["layers"][1]["kernel"][1]
    assert 2.0**-12 < np.std(error) < 2.0**-11
    assert abs(noisy.accuracy[-1] - oracle.accuracy[-1]) <= 0.02


def test_differences_grow_from_what_one_step_leaves(training, oracle):
    found = predicted_differences(training, oracle, [1e-4] * 8)
    assert found.shape == (20,) and found[0] == pytest.approx(1e-4, rel=0.1) and found[0] < found[-1] < 2e-2


def test_noise_of_what_is_carried_comes_with_the_last_step_of_a_call(training, oracle):
    pairs = dataclasses.replace(training, steps_per_call=2)
    found = predicted_differences(pairs, oracle, [1e-4] * 8)
    assert found[0] == 0 and found[1] == pytest.approx(1e-4, rel=0.1)


def test_a_run_that_diverges_is_refused_with_the_step():
    training = make_training("64-32-10", "digits", steps=20, rate=3)
    with pytest.raises(ValueError, match=r"diverges: at step 1 of 20 the largest magnitude of the"):
        dry_run(training, 12)


def test_a_run_that_leaves_its_range_is_refused_with_step_and_layer():
    training = make_training("64-32-10", "digits", steps=5, preactivations=1.0)
    expected = r"leaves its ranges: at step \d of 5 the largest magnitude of the outputs of layer 1 is 1"
    with pytest.raises(ValueError, match=expected):
        dry_run(training, 12)


def test_too_much_noise_is_refused():
    with pytest.raises(ValueError, match=r"with noise of 2\^-5"):
        dry_run(make_training("64-32-10", "digits", steps=20, parameters=9, momenta=9, preactivations=99), 5)


@pytest.mark.parametrize("network", ["64-32-16-10", "64-32-10", "64-64-10", "64-128-10", "cnn", "logistic"])
def test_recipes_of_digits_stay_in_their_ranges(network):
    training = make_training(network, "digits")
    found = dry_run(training, 12)
    assert found.clear.accuracy[-1] >= 0.95
    assert training.recipe == RECIPES[network, "digits"]


def test_the_dry_experiment(tmp_path, capsys):
    path = tmp_path / "sgd.json"
    arguments = encrypted_sgd.Arguments(steps=12, dry=True, cache=None, json=path)
    results = encrypted_sgd.main(arguments)
    assert json.loads(path.read_text()) == results and len(results["accuracy_noisy"]) == 12
    printed = capsys.readouterr().out
    assert "64-32-10 on digits, 8x8 pixels: 12 steps of 64 samples" in printed
    assert max(map(len, printed.splitlines())) <= 100


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": 0}, "--steps is 0"),
        ({"batch": 1}, "--batch is 1"),
        ({"batch": 2000}, "a batch of 2000 was asked for"),
        ({"rate": 9.0}, "diverges: at step 1"),
        ({"data": "mnist", "data_dir": "nowhere"}, "MNIST needs the file"),
        ({"data": "mnist", "reduce": "pca", "network": "cnn"}, "--reduce pca leaves none"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(wrong, said):
    with pytest.raises(SystemExit, match=said):
        encrypted_sgd.main(encrypted_sgd.Arguments(cache=None, dry=True, **wrong))
