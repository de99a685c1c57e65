"""The residual network for images of ImageNet: shapes, counts, shortcuts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


def test_resnet18_has_its_weights_and_shapes():
    model = nnx.eval_shape(lambda: nn.ResNet18(lambda features: nn.Square(), rngs=nnx.Rngs(0)))
    assert len(model.blocks) == 8 and len(nn.activation_layers(model)) == 17
    # Those of the published network without its normalisation: 11,689,512 less 9,600 in it.
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 11_679_912


def test_the_sizes_of_its_images():
    model = nn.ResNet18(
        lambda features: nn.Square(), width=2, classes=7, image_shape=(64, 64, 3), rngs=nnx.Rngs(0)
    )
    x = jnp.zeros((1, 64, 64, 3))
    assert jax.eval_shape(model, x).shape == (1, 7)
    shapes = [jax.eval_shape(model.first_convolution, x)]
    shapes.append(jax.eval_shape(nn.image_networks.average_pool, shapes[0]))
    for block in model.blocks:
        shapes.append(jax.eval_shape(block, shapes[-1]))
    assert [s.shape[1] for s in shapes] == [32, 16, 16, 16, 8, 8, 4, 4, 2, 2]


def test_a_projected_block_adds_a_strided_convolution():
    block = nn.ProjectedBlock(2, 5, 2, lambda features: nn.Square(), rngs=nnx.Rngs(0))
    x = np.random.default_rng(1).normal(size=(2, 6, 4, 2)).astype(np.float32)
    shortcut = x[:, ::2, ::2] @ np.asarray(block.projection.kernel[...])[0, 0]
    inner = block.second(block.first(x) ** 2)
    np.testing.assert_allclose(block(x), (inner + shortcut) ** 2, rtol=1e-4, atol=1e-5)
    assert block.layers()[3] is block.projection


def small(activation):
    return nn.ResNet18(activation, width=1, classes=3, image_shape=(16, 16, 3), rngs=nnx.Rngs(0))


class OneBlock(nn.Network):
    image_shape = (4, 4, 2)

    def __init__(self, *, rngs):
        self.block = nn.ProjectedBlock(2, 3, 2, lambda features: nn.Square(), rngs=rngs)

    def layers(self):
        return (self.block, nn.models.flatten)


def test_bounds_hold_through_projections():
    model = OneBlock(rngs=nnx.Rngs(0))
    low, high = map(np.asarray, nn.logit_bounds(model, -1, 1))
    images = np.sign(np.random.default_rng(0).normal(size=(200, 4, 4, 2))).astype(np.float32)
    values = np.asarray(model(images))
    assert np.all(low <= values) and np.all(values <= high) and np.all(high < 100 * values.max(0))


def test_normalisation_in_a_projected_block_is_not_left_unfolded():
    model = small(lambda features: nn.Square())
    model.blocks[2].second_activation = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="block at layer 5 of ResNet18 holds a batch normalisation"):
        nn.fold_batch_norm(model)


def test_pooling_counts_zeros_around_the_image():
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    padded = np.pad(image[0, :, :, 0], 1)
    wanted = [[padded[r : r + 3, c : c + 3].sum() / 9 for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_allclose(
        nn.image_networks.average_pool(jnp.asarray(image))[0, :, :, 0], wanted, rtol=1e-6
    )


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="a width and classes of 1 or more"):
        nn.ResNet18(width=0, rngs=nnx.Rngs(0))
