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
    predict = nnx.view(model, use_running_average=True, raise_if_not_found=False)
    assert jax.eval_shape(predict, jnp.zeros((2, 224, 224, 3))).shape == (2, 1000)
    sizes = [jax.eval_shape(model.first_convolution, jnp.zeros((1, 224, 224, 3))).shape]
    sizes.append(jax.eval_shape(nn.image_networks.average_pool, jnp.zeros(sizes[0])).shape)
    for block in model.blocks:
        sizes.append(jax.eval_shape(block, jnp.zeros(sizes[-1])).shape)
    assert [s[1] for s in sizes] == [112, 56, 56, 56, 28, 28, 14, 14, 7, 7]


def test_a_projected_block_adds_a_strided_convolution():
    block = nn.ProjectedBlock(2, 5, 2, lambda features: nn.Square(), rngs=nnx.Rngs(0))
    x = np.random.default_rng(1).normal(size=(2, 6, 4, 2)).astype(np.float32)
    shortcut = x[:, ::2, ::2] @ np.asarray(block.projection.kernel[...])[0, 0]
    inner = block.second(block.first(x) ** 2)
    np.testing.assert_allclose(block(x), (inner + shortcut) ** 2, rtol=1e-4, atol=1e-5)
    assert block.layers()[3] is block.projection


def test_pooling_counts_zeros_around_the_image():
    image = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    padded = np.pad(image[0, :, :, 0], 1)
    wanted = [[padded[r : r + 3, c : c + 3].sum() / 9 for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_allclose(nn.image_networks.average_pool(image)[0, :, :, 0], wanted, rtol=1e-6)


def test_bad_sizes_are_refused():
    with pytest.raises(ValueError, match="a width and classes of 1 or more"):
        nn.ResNet18(width=0, rngs=nnx.Rngs(0))
