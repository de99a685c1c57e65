"""The shallow networks for colour images: shapes, counts, order of its layers, and the committed weights."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax import nn

FOLDER = Path(__file__).parents[2] / "experiments" / "weights"
WEIGHTS, HCNN = FOLDER / "shallow.safetensors", FOLDER / "hcnn_cifar.safetensors"


def test_logits_parameters_and_layers():
    network = nn.inference_view(nn.ShallowCifar(rngs=nnx.Rngs(0)))
    logits = network(np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32))
    assert logits.shape == (2, 10) and logits.dtype == jnp.float32
    kernels = 27 * 32 + 288 * 64 + 576 * 64 + 576 * 128
    parameters = jax.tree.leaves(nnx.state(network, nnx.Param))
    assert sum(leaf.size for leaf in parameters) == kernels + 3 * (32 + 64 + 64 + 128) + 2049 * 10
    assert [getattr(layer, "__name__", type(layer).__name__) for layer in network.layers()] == [
        *("Conv", "PolynomialActivation", "average_pool"),
        *("Conv", "PolynomialActivation"),
        *("Conv", "PolynomialActivation", "average_pool") * 2,
        *("flatten", "Linear"),
    ]


def test_other_activations():
    network = nn.ShallowCifar(lambda features: jnp.square, rngs=nnx.Rngs(0))
    assert network(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, 10)


def test_the_network_of_hcnn():
    network = nn.inference_view(nn.HCNNCifar(rngs=nnx.Rngs(0)))
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    kernels = 27 * 32 + 288 * 64 + 576 * 128
    parameters = jax.tree.leaves(nnx.state(network, nnx.Param))
    dense = 2049 * 256 + 257 * 10
    assert sum(leaf.size for leaf in parameters) == kernels + 3 * (32 + 64 + 128) + dense
    assert [getattr(layer, "__name__", type(layer).__name__) for layer in network.layers()] == [
        *("Conv", "BatchNorm", "Square", "average_pool") * 3,
        *("flatten", "Linear", "Linear"),
    ]
    folded = nn.fold_batch_norm(network)
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(folded, nnx.Param))) == (
        kernels + 32 + 64 + 128 + dense
    )
    np.testing.assert_allclose(folded(images), network(images), atol=2e-3)


def test_folded_weights_of_hcnn_are_those_of_the_network_without_normalisation(tmp_path):
    folded = nn.fold_batch_norm(nn.inference_view(nn.HCNNCifar(rngs=nnx.Rngs(0))))
    nn.save_weights(folded, tmp_path / "weights")
    again = nn.load_weights(nn.HCNNCifar(normalise=False, rngs=nnx.Rngs(1)), tmp_path / "weights")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(images), folded(images))


def test_the_committed_weights_are_bounded():
    assert WEIGHTS.stat().st_size < 700_000
    network = nn.inference_view(nn.load_weights(nn.ShallowCifar(rngs=nnx.Rngs(0)), WEIGHTS))
    preparation = nn.load_preparation(WEIGHTS)
    assert preparation.chroma == 1.5
    images = np.random.default_rng(0).integers(90, 160, (2, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    logits, inputs = nn.preactivations(network, preparation(images.astype(np.uint8)))
    assert len(inputs) == 4 and max(float(jnp.abs(z).max()) for z in inputs) < 10
    assert np.abs(logits).max() < 31


def test_the_committed_weights_of_hcnn_are_bounded():
    assert HCNN.stat().st_size < 1_300_000
    network = nn.load_weights(nn.HCNNCifar(normalise=False, rngs=nnx.Rngs(0)), HCNN)
    images = np.random.default_rng(0).integers(90, 160, (2, 4, 4, 3)).repeat(8, 1).repeat(8, 2)
    prepared = nn.load_preparation(HCNN)(images.astype(np.uint8))
    logits, inputs = nn.preactivations(nn.inference_view(network), prepared)
    assert len(inputs) == 3 and max(float(jnp.abs(z).max()) for z in inputs) < 12
    assert np.abs(logits).max() < 100
