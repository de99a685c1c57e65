"""Residual networks: shapes, counts, shortcuts, and the tools that walk through layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


def small(activation=None, **options):
    sizes = {"depth": 8, "width": 2, "image_shape": (8, 8, 3)} | options
    return nn.ResNet(sizes.pop("depth"), activation, **sizes, rngs=nnx.Rngs(0))


def images_for(network, count=3):
    return np.random.default_rng(0).normal(size=(count, *network.image_shape)).astype(np.float32)


@pytest.mark.parametrize(
    "network, blocks, millions",
    [(nn.ResNet20, 9, 40.6), (nn.ResNet32, 15, 68.9), (nn.ResNet44, 21, 97.2), (nn.ResNet56, 27, 125.5)],
)
def test_counts_of_the_named_networks(network, blocks, millions):
    model = nnx.eval_shape(lambda: network(rngs=nnx.Rngs(0)))
    assert len(model.layers()) == blocks + 4 and len(nn.activation_layers(model)) == 2 * blocks + 1
    # A convolution reads each entry of its kernel once for each of its results.
    pixels = 32 * 32
    products = 27 * 16 * pixels + 640
    for block in model.blocks:
        pixels //= block.stride**2
        products += (block.first.kernel.size + block.second.kernel.size) * pixels
    assert round(products / 1e6, 1) == millions
    kernels = [leaf for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)) if leaf.ndim > 2]
    assert len(kernels) == 2 * blocks + 1


def test_resnet20_has_its_weights_and_shapes():
    model = nn.ResNet20(rngs=nnx.Rngs(0))
    assert [block.first.kernel.shape for block in model.blocks][2:4] == [(3, 3, 16, 16), (3, 3, 16, 32)]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
    kernels = 9 * (3 * 16 + 6 * 16**2 + 16 * 32 + 5 * 32**2 + 32 * 64 + 5 * 64**2)
    quadratics = 3 * (7 * 16 + 6 * 32 + 6 * 64)
    assert parameters == kernels + quadratics + 65 * 10
    predict = nnx.view(model, use_running_average=True)
    assert jax.eval_shape(predict, jnp.zeros((2, 32, 32, 3))).shape == (2, 10)


def test_a_block_adds_what_it_reads():
    block = nn.ResidualBlock(2, 5, 2, lambda features: nn.Square(), rngs=nnx.Rngs(0))
    x = np.random.default_rng(1).normal(size=(2, 6, 4, 2)).astype(np.float32)
    shortcut = np.zeros((2, 3, 2, 5), np.float32)
    shortcut[..., 1:3] = x[:, ::2, ::2]  # one channel of zeros in front, two behind
    np.testing.assert_array_equal(block.shortcut(x), shortcut)
    inner = block.second(block.first(x) ** 2)
    np.testing.assert_allclose(block(x), (inner + shortcut) ** 2, rtol=1e-5)


def test_convolutions_see_zeros_on_all_sides():
    layer = nn.ResidualBlock(1, 1, 2, lambda features: nn.Square(), rngs=nnx.Rngs(0)).first
    kernel = np.asarray(layer.kernel[...])[:, :, 0, 0]
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    padded = np.pad(image, 1)
    wanted = [[np.sum(padded[r : r + 3, c : c + 3] * kernel) for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_allclose(layer(image[None, :, :, None])[0, :, :, 0], wanted, rtol=1e-5)


@pytest.mark.parametrize("activation", [None, nn.HermiteActivation, lambda features: nn.Square()])
def test_activations_follow_every_convolution(activation):
    model = small(activation)
    assert len(nn.activation_layers(model)) == 7
    x = images_for(model)
    model(x)  # in training mode, which a Hermite activation takes its moments from
    predict = nnx.view(model, use_running_average=True)
    folded = nn.fold_activations(predict)
    np.testing.assert_allclose(folded(x), predict(x), rtol=2e-3, atol=2e-3)
    _, inputs = nn.preactivations(predict, x)
    assert [z.shape for z in inputs] == [(192, 2)] * 3 + [(48, 4)] * 2 + [(12, 8)] * 2
    assert len(nn.activation_layers(nn.exact_twin(model))) == 7


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"depth": 18}, "6 n"),
        ({"depth": 2}, "6 n"),
        ({"width": 0}, "width=0"),
        ({"classes": 0}, "classes=0"),
        ({"image_shape": (8, 8)}, "height, width"),
        ({"image_shape": (8, 0, 3)}, "height, width"),
    ],
)
def test_sizes_that_make_no_network(wrong, words):
    with pytest.raises(ValueError, match=words):
        small(**wrong)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"ResNet classifies images of shape \(batch, 8, 8, 3\)"):
        small()(np.zeros((1, 8, 8, 1), np.float32))


def test_bounds_of_squares_hold_and_others_are_refused():
    model = small(lambda features: nn.Square())
    low, high = map(np.asarray, nn.logit_bounds(model, -0.1, 0.1))
    assert np.isfinite([low, high]).all()
    generator = np.random.default_rng(0)
    for _ in range(5):
        images = 0.1 * np.sign(generator.normal(size=(20, 8, 8, 3))).astype(np.float32)
        logits = np.asarray(model(images))
        assert np.all(low <= logits) and np.all(logits <= high)
    for activation in (None, nn.HermiteActivation):
        with pytest.raises(TypeError, match="no rule for"):
            nn.logit_bounds(small(activation))


def test_normalisation_in_a_block_is_not_left_unfolded():
    model = small(lambda features: nnx.BatchNorm(features, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="residual block at layer 2 of ResNet holds a batch normalisation"):
        nn.fold_batch_norm(model)
    kept = nn.fold_batch_norm(small())
    np.testing.assert_array_equal(kept(images_for(kept)), small()(images_for(kept)))


def test_rounding_of_kernels_keeps_the_coefficients():
    model = small()
    rounded = nn.quantise_kernels(model, 4)
    for found, given in zip(rounded.blocks, model.blocks, strict=True):
        kernel = np.asarray(found.first.kernel[...])
        assert len(np.unique(np.round(kernel / np.abs(kernel).max() * 7, 3))) <= 15
        before, after = (block.first_activation.coefficients[...] for block in (given, found))
        np.testing.assert_array_equal(before, after)


def test_weights_survive_the_file(tmp_path):
    model, path = small(), tmp_path / "small.safetensors"
    nn.save_weights(model, path)
    loaded = nn.load_weights(small(depth=8), path)
    np.testing.assert_array_equal(loaded(images_for(model)), model(images_for(model)))
    with pytest.raises(ValueError, match="does not hold the weights of ResNet: missing"):
        nn.load_weights(small(depth=14), path)
