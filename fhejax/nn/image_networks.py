"""The residual network for images of ImageNet (He et al., CVPR 2016), with polynomials as activations.

At inference the logits are a polynomial of the pixels: `nnx.view(network, use_running_average=True)`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.nn.models import LayerFunction, Network, quadratic
from fhejax.nn.residual_networks import Block, ResidualBlock, image_mean

_STAGES = 4
_BLOCKS = 2  # of a stage


class ProjectedBlock(Block):
    """A block whose shortcut is a strided convolution of 1x1 (option B)."""

    def __init__(
        self,
        before: int,
        after: int,
        stride: int,
        activation: Callable[[int], LayerFunction],
        *,
        rngs: nnx.Rngs,
    ) -> None:
        super().__init__(before, after, stride, activation, rngs=rngs)
        self.projection = nnx.Conv(
            before, after, (1, 1), strides=(stride, stride), padding="VALID", use_bias=False, rngs=rngs
        )

    def shortcut_layer(self) -> LayerFunction:
        """The projection."""
        return self.projection

    def layers(self) -> tuple[LayerFunction, ...]:
        """The parts with weights, in the order in which they are applied."""
        *inner, last = super().layers()
        return (*inner, self.projection, last)


class ResNet18(Network):
    """The residual network of 18 layers: 8 blocks, 1.8 billion multiply-adds, 17 activations deep.

    A convolution of 7x7 with a stride of 2, the mean of windows of 3x3 with a stride of 2 in place of their
    largest value, four times two blocks of which the first of each time but the first halves the image and
    doubles the channels, the mean over the image, a dense layer. Convolutions have zeros around the image and
    no bias.

    Args:
        activation: makes the module that follows a convolution of so many features; by default a trained
            quadratic for each. There is no other normalisation: `HermiteActivation` brings its own.
        width: the channels of the first fourth.
        classes: the number of logits.
        image_shape: (height, width, channels) of an image.
        rngs: of the first weights.

    Raises:
        ValueError: a width, number of classes or shape below 1.
    """

    def __init__(
        self,
        activation: Callable[[int], LayerFunction] | None = None,
        *,
        width: int = 64,
        classes: int = 1000,
        image_shape: tuple[int, int, int] = (224, 224, 3),
        rngs: nnx.Rngs,
    ) -> None:
        if len(image_shape) != 3 or min(width, classes, *image_shape) < 1:
            raise ValueError(
                f"ResNet-18 needs a width and classes of 1 or more, and images of (height, width, channels), "
                f"but found width={width}, classes={classes}, image_shape={image_shape}."
            )
        activation = quadratic if activation is None else activation
        self.image_shape = image_shape
        around = ((3, 3), (3, 3))
        self.first_convolution = nnx.Conv(
            image_shape[-1], width, (7, 7), strides=(2, 2), padding=around, use_bias=False, rngs=rngs
        )
        self.first_activation = activation(width)
        blocks, before = [], width
        for stage in range(_STAGES):
            for number in range(_BLOCKS):
                after = width << stage
                kind = ProjectedBlock if stage and not number else ResidualBlock
                blocks.append(kind(before, after, 2 if stage and not number else 1, activation, rngs=rngs))
                before = after
        self.blocks = nnx.List(blocks)
        self.output = nnx.Linear(before, classes, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: convolution, activation, pooling, the blocks, the mean over the image, dense."""
        first = (self.first_convolution, self.first_activation, average_pool)
        return (*first, *self.blocks, image_mean, self.output)


def average_pool(x: jax.Array) -> jax.Array:
    """The means of windows of 3x3 with a stride of 2, zeros around the image counted as well."""
    around = ((0, 0), (1, 1), (1, 1), (0, 0))
    zero = jnp.zeros((), x.dtype)
    total = jax.lax.reduce_window(x, zero, jax.lax.add, (1, 3, 3, 1), (1, 2, 2, 1), around)
    return total / jnp.asarray(9, x.dtype)
