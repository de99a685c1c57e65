"""Interval bounds hold for images that try to break them, and rounding rounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn

EXACT = [nn.CryptoNets, pytest.param(nn.HCNN, marks=pytest.mark.nightly), nn.MLP]


@pytest.mark.parametrize("network", EXACT)
def test_no_image_leaves_the_bounds(network):
    model = network(rngs=nnx.Rngs(0))
    low, high = map(np.asarray, nn.logit_bounds(model))
    generator = np.random.default_rng(0)
    images = generator.random((50, 28, 28, 1), np.float32)
    # Climb each logit, both ways, to the corners of the cube of images.
    for sign in (1.0, -1.0):
        for _ in range(10):
            slopes = sign * jax.grad(lambda x: jnp.sum(model(x)[:, 3]))(images)
            images = np.clip(images + np.sign(slopes), 0, 1)
        logits = np.asarray(model(images))
        assert np.all(low <= logits) and np.all(logits <= high)
    assert nn.logit_magnitude(model) == np.max(np.abs([low, high]))


def test_bounds_of_one_dense_layer_are_attained():
    class Dense(nn.Network):
        image_shape = (1, 3, 1)

        def __init__(self):
            self.output = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
            self.square = nn.Square()

        def layers(self):
            return (lambda x: x.reshape(-1, 3), self.output, self.square)

    model = Dense()
    model.output.kernel[...] = jnp.asarray([[1.0, 2.0], [-3.0, 1.0], [0.5, 1.0]], jnp.float32)
    model.output.bias[...] = jnp.asarray([0.5, 1.0], jnp.float32)
    low, high = nn.logit_bounds(model)
    np.testing.assert_allclose(low, [0.0, 1.0], atol=1e-5)  # [-2.5, 2]^2 and [1, 5]^2
    np.testing.assert_allclose(high, [6.25, 25.0], atol=1e-5)


def test_a_polynomial_has_no_rule():
    with pytest.raises(TypeError, match="no rule for PolynomialActivation"):
        nn.logit_bounds(nn.inference_view(nn.Digits(rngs=nnx.Rngs(0))))


@pytest.mark.parametrize("bits", [2, 8, 10])
def test_rounded_kernels_lie_on_a_grid(bits):
    model = nn.CryptoNets(rngs=nnx.Rngs(0))
    rounded = nn.quantise_kernels(model, bits)
    for name in ("convolution", "hidden", "output"):
        kernel = np.asarray(getattr(model, name).kernel[...], np.float64)
        found = np.asarray(getattr(rounded, name).kernel[...], np.float64)
        step = np.max(np.abs(kernel)) / (2 ** (bits - 1) - 1)
        np.testing.assert_allclose(found / step, np.round(found / step), atol=1e-3)
        assert np.max(np.abs(found - kernel)) <= 0.5001 * step
        np.testing.assert_array_equal(getattr(rounded, name).bias[...], getattr(model, name).bias[...])


def test_too_few_bits():
    with pytest.raises(ValueError, match="need 2"):
        nn.quantise_kernels(nn.MLP(rngs=nnx.Rngs(0)), 1)
