"""Activations fitted to the inputs they see."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import approx, nn


def samples(count=400, channels=3):
    generator = np.random.default_rng(0)
    return generator.normal(size=(count, channels)) * [0.5, 1.0, 2.0][:channels] + [0.0, -1.0, 1.0][:channels]


def mean_square(activation, values):
    difference = activation(jnp.asarray(values, jnp.float32)) - jnp.maximum(values, 0).astype(jnp.float32)
    return float(jnp.mean(difference**2))


def test_the_fit_is_least_squares_under_the_samples():
    values = samples()
    activation = nn.fit_activation(values, 3, headroom=1.25)
    reach = 1.25 * np.max(np.abs(values))
    assert activation.interval == pytest.approx((-reach, reach))
    powers = np.polynomial.polynomial.polyfit(values.ravel(), np.maximum(values, 0).ravel(), 3)
    np.testing.assert_allclose(activation.polynomial.to_monomial(), powers, atol=1e-5)
    other = nn.PolynomialActivation(3, method="minimax", interval=(-reach, reach))
    assert mean_square(activation, values) < 0.5 * mean_square(other, values)


def test_each_channel_has_its_own_fit():
    values = samples()
    shared, each = nn.fit_activation(values, 2), nn.fit_activation(values, 2, features=3)
    assert each.coefficients[...].shape == (3, 3)
    for channel in range(3):
        expected = approx.least_squares("relu", 2, each.interval, samples=values[:, channel])
        np.testing.assert_allclose(each.coefficients[...][channel], expected.coefficients, atol=1e-5)
    assert mean_square(each, values) < mean_square(shared, values)


def test_options_are_those_of_the_activation():
    tuned = nn.fit_activation(samples(), 4, function="gelu", scaling="dynamic", trainable=False)
    assert tuned.scaling == "dynamic" and tuned.function == "gelu"
    assert isinstance(tuned.coefficients, nn.FixedCoefficients)
    assert float(tuned.largest[...]) == pytest.approx(1.1 * np.max(np.abs(samples())), rel=1e-6)


@pytest.fixture(scope="module")
def digits():
    return nn.load_digits()


def network(**options):
    model = nn.Digits(rngs=nnx.Rngs(0))
    model.polynomial = nn.PolynomialActivation(4, interval=(-0.5, 0.5), **options)
    model.square = nn.PolynomialActivation(2, interval=(-0.1, 0.1))
    return model


def test_profiles_are_of_inference_and_leave_the_network(digits):
    model = network(scaling="dynamic")
    before = nnx.to_pure_dict(nnx.state(nnx.clone(model)))
    first, second = nn.profile(model, digits.train_images[:32])
    assert first.shape == (32 * 36, 16) and second.shape == (32, 32)
    predict = nn.inference_view(model)
    expected = predict.normalisation(predict.convolution(digits.train_images[:32]))
    np.testing.assert_allclose(first, np.asarray(expected).reshape(-1, 16), rtol=1e-4, atol=1e-5)
    after = nnx.to_pure_dict(nnx.state(model))
    np.testing.assert_array_equal(after["normalisation"]["mean"], before["normalisation"]["mean"])
    np.testing.assert_array_equal(after["polynomial"]["largest"], before["polynomial"]["largest"])


@pytest.mark.parametrize("options", [{}, {"features": 16}, {"scaling": "trained"}])
def test_tuning_brings_a_network_near_its_exact_twin(digits, options):
    model = nn.inference_view(network(**options))
    exact = nn.exact_twin(model)(digits.test_images)
    tuned = nn.tune_coefficients(model, digits.train_images[:256])
    before, after = (float(jnp.mean((f(digits.test_images) - exact) ** 2)) for f in (model, tuned))
    assert after < 0.05 * before
    layers = nn.activation_layers(tuned)
    assert [layer.scaling for layer in layers] == [options.get("scaling", "fixed"), "fixed"]
    # The second is fitted to what the first gives after its own fit.
    seen = nn.profile(tuned, digits.train_images[:256])
    for layer, values in zip(layers, seen, strict=True):
        assert layer.interval[1] == pytest.approx(1.1 * np.max(np.abs(values)), rel=1e-5)
    assert model.polynomial.unscaled_interval == (-0.5, 0.5)


def test_tuning_keeps_noise_and_what_has_no_function(digits):
    model = network(noise=lambda c: 0.01 * jnp.sum(c**2), rngs=nnx.Rngs(0))
    model.square = nn.PolynomialActivation.from_polynomial(approx.minimax("relu", 3, (-1, 1)))
    tuned = nn.tune_coefficients(nn.inference_view(model), digits.train_images[:64])
    assert tuned.polynomial.noise is model.polynomial.noise
    assert tuned.square.interval == (-1.0, 1.0)
    images = digits.test_images[:8]
    np.testing.assert_array_equal(tuned(images), tuned(images))
    noisy = nnx.view(tuned, use_running_average=False)
    assert np.any(noisy(images) != noisy(images))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(digits, bad):
    values = samples()
    values[3, 1] = bad
    with pytest.raises(ValueError, match="1 of the 1200 values profiled among the samples are NaN"):
        nn.fit_activation(values, 2)
    images = digits.train_images[:32].copy()
    images[0, 0, 0, 0] = bad
    for tune in (nn.profile, nn.tune_coefficients):
        with pytest.raises(ValueError, match="at the activation of index 0 are NaN or infinite"):
            tune(nn.Digits(rngs=nnx.Rngs(0)), images)


def test_other_bad_samples_are_refused():
    with pytest.raises(ValueError, match="are 0, which leaves an activation no interval"):
        nn.fit_activation(np.zeros((5, 2)), 2)
    with pytest.raises(ValueError, match="no interval"):
        nn.fit_activation(np.zeros((0, 2)), 2)
    with pytest.raises(ValueError, match="needs at least 4 distinct samples"):
        nn.fit_activation(np.array([[1.0], [2.0], [2.0]]), 3)
    with pytest.raises(ValueError, match=r"samples of shape \(values, 2\), but found \(400, 3\)"):
        nn.fit_activation(samples(), 2, features=2)
    with pytest.raises(ValueError, match="outside of the interval"):
        nn.fit_activation(samples(), 2, headroom=0.5)
    with pytest.raises(ValueError, match="degree of at least 1"):
        nn.fit_activation(samples(), 0)
