"""AESPA's activation against its formula in NumPy, and its fold."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


def normalised(values, mean, variance):
    return (values - mean) / np.sqrt(variance + 1e-5)


def basis(x):
    return x, (x**2 - 1) / math.sqrt(2)


def formula(x, statistics, scale, shift):
    """f_1 N_1(h_1) + f_2 N_2(h_2), with the expansion of ReLU as AESPA prints it."""
    factors = 1 / 2, 1 / math.sqrt(4 * math.pi)
    terms = (f * normalised(h, *s) for f, h, s in zip(factors, basis(x), statistics, strict=True))
    return scale * sum(terms) + shift


def data(count=64, features=3, seed=0):
    generator = np.random.default_rng(seed)
    deviations = np.array([0.5, 1.0, 3.0])[:features]
    return deviations * generator.normal(size=(count, 2, features)) + [-1.0, 0.0, 2.0][:features]


def used(features=3, **options):
    """An activation with statistics, scales and shifts as after training."""
    activation = nn.HermiteActivation(features, **options)
    generator = np.random.default_rng(1)
    norm = activation.normalisation
    for variable in (norm.mean, norm.var, activation.scale, activation.shift):
        variable[...] = jnp.asarray(generator.uniform(0.3, 2.0, variable.shape), jnp.float32)
    return activation


def test_training_normalises_each_basis_polynomial_by_its_batch():
    x = data()
    activation = nn.HermiteActivation(3)
    activation.scale[...] = jnp.asarray([1.0, -2.0, 0.5], jnp.float32)
    activation.shift[...] = jnp.asarray([0.1, 0.2, 0.3], jnp.float32)
    statistics = [(h.mean(axis=(0, 1)), h.var(axis=(0, 1))) for h in basis(x)]
    expected = formula(x, statistics, np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.2, 0.3]))
    found = activation(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    norm = activation.normalisation
    np.testing.assert_allclose(norm.mean[...], 0.1 * np.concatenate([m for m, _ in statistics]), rtol=1e-4)
    spread = np.concatenate([v for _, v in statistics])
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * spread, rtol=1e-4)


def test_inference_uses_running_statistics():
    activation = nnx.view(used(), use_running_average=True)
    x = data()
    norm = activation.normalisation
    mean, variance = (np.split(np.asarray(v[...]), 2) for v in (norm.mean, norm.var))
    statistics = list(zip(mean, variance, strict=True))
    expected = formula(x, statistics, np.asarray(activation.scale[...]), np.asarray(activation.shift[...]))
    x = jnp.asarray(x, jnp.float32)
    for evaluate in (activation, jax.jit(activation), jax.vmap(activation)):
        np.testing.assert_allclose(evaluate(x), expected, atol=2e-5)


@pytest.mark.parametrize("degree", [1, 2, 4])
@pytest.mark.parametrize("interval", [(-4.0, 4.0), (-1.0, 6.0)])
def test_the_fold_is_the_same_function(degree, interval):
    activation = nnx.view(used(degree=degree, interval=interval), use_running_average=True)
    folded = activation.folded()
    assert folded.coefficients[...].shape == (3, degree + 1)
    assert folded.interval == interval and folded.scaling == "fixed"
    x = jnp.asarray(data(), jnp.float32)
    expected = activation(x)
    tolerance = 2e-6 * float(jnp.max(jnp.abs(expected)))
    for evaluate in (folded, jax.jit(folded), jax.vmap(folded)):
        np.testing.assert_allclose(evaluate(x), expected, atol=5 * tolerance)


def test_the_scale_of_the_input_does_not_matter_to_a_linear_term_in_training():
    x = jnp.asarray(data(), jnp.float32)
    activation = nn.HermiteActivation(3, degree=1)
    np.testing.assert_allclose(activation(100.0 * x), activation(x), atol=1e-3)


class HermiteDigits(nn.Digits):
    """Digits with a Hermite activation in place of normalisation and polynomial, and without pooling."""

    def __init__(self, *, rngs):
        super().__init__(rngs=rngs)
        del self.normalisation
        self.polynomial = nn.HermiteActivation(16)
        self.hidden = nnx.Linear(576, 32, rngs=rngs)

    def layers(self):
        first = (self.convolution, self.polynomial)
        return (*first, nn.models.flatten, self.hidden, self.square, self.output)


def test_a_network_trains_and_folds_to_a_polynomial():
    digits = nn.load_digits()
    config = nn.TrainingConfig(epochs=12, batch_size=64, learning_rate=1e-2, average_decay=0.98)
    network, _ = nn.train(HermiteDigits(rngs=nnx.Rngs(0)), digits.train_images, digits.train_labels, config)
    assert nn.accuracy(network, digits.test_images, digits.test_labels) >= 0.96
    folded = nn.fold_activations(network)
    assert isinstance(folded.polynomial, nn.PolynomialActivation)
    assert isinstance(network.polynomial, nn.HermiteActivation)
    images = digits.test_images[:64]
    expected = np.asarray(network(images))
    np.testing.assert_allclose(folded(images), expected, atol=2e-5 * np.max(np.abs(expected)))
    operations = str(jax.make_jaxpr(folded)(images[:1]))
    assert not any(name in operations for name in ("rsqrt", "div ", "max "))


def test_bad_descriptions_and_inputs_are_refused():
    for features, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError)):
        with pytest.raises(error):
            nn.HermiteActivation(features)
    with pytest.raises(ValueError, match="degree of at least 1"):
        nn.HermiteActivation(3, degree=0)
    with pytest.raises(ValueError, match="empty or reversed"):
        nn.HermiteActivation(3, interval=(1.0, -1.0))
    with pytest.raises(ValueError, match="no function named"):
        nn.HermiteActivation(3, function="rely")
    for shape in ((4, 2), (3,)):
        with pytest.raises(ValueError, match=r"needs an input of shape \(batch, ..., 3\)"):
            nn.HermiteActivation(3)(jnp.ones(shape, jnp.float32))
    diverged = used()
    diverged.scale[...] = jnp.full(3, jnp.nan, jnp.float32)
    with pytest.raises(ValueError, match="NaN or infinite"):
        diverged.folded()
