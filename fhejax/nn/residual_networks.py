"""Residual networks for small colour images (He et al., CVPR 2016), with an activation that is a polynomial.

At inference the logits are a polynomial of the pixels: `nnx.view(network, use_running_average=True)`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.nn.models import LayerFunction, Network, quadratic

STAGES = 3


class Block(nnx.Module):
    """Two convolutions of 3x3 and a shortcut around them; a subclass says which shortcut.

    The block computes second_activation(second(first_activation(first(x))) + shortcut(x)).

    Args:
        before: channels of what comes in.
        after: channels of what comes out.
        stride: of the first convolution and of the shortcut.
        activation: makes the module that follows a convolution of so many features.
        rngs: of the first weights.
    """

    def __init__(
        self,
        before: int,
        after: int,
        stride: int,
        activation: Callable[[int], LayerFunction],
        *,
        rngs: nnx.Rngs,
    ) -> None:
        self.stride, self.added = stride, after - before
        self.first = convolution(before, after, stride, rngs=rngs)
        self.first_activation = activation(after)
        self.second = convolution(after, after, rngs=rngs)
        self.second_activation = activation(after)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The block of (batch, height, width, before): (batch, height / stride, width / stride, after)."""
        residual = self.second(self.first_activation(self.first(x)))
        return self.second_activation(residual + self.shortcut_layer()(x))

    def shortcut_layer(self) -> LayerFunction:
        """The layer that brings the input into the shape of the result."""
        raise NotImplementedError

    def layers(self) -> tuple[LayerFunction, ...]:
        """The parts with weights, in the order in which they are applied."""
        return (self.first, self.first_activation, self.second, self.second_activation)


class ResidualBlock(Block):
    """A block whose shortcut has no weights (option A).

    The shortcut is every `stride`-th row and column, with channels of zeros on both sides of those that there
    are.
    """

    def shortcut(self, x: jax.Array) -> jax.Array:
        """The input in the shape of the result."""
        x = x[:, :: self.stride, :: self.stride]
        front = self.added // 2
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (front, self.added - front)))

    def shortcut_layer(self) -> LayerFunction:
        """The function `shortcut`."""
        return self.shortcut


class ResNet(Network):
    """A residual network of 6 n + 2 layers with weights: 20, 32, 44, 56, ...

    A convolution, three times n blocks of which the first of the second and third time halves the image and
    doubles the channels, the mean over the image, a dense layer. Convolutions are 3x3 with zeros around the
    image and have no bias. An activation follows each of them; in a block the second one comes after the
    addition.

    Args:
        depth: the number of layers with weights.
        activation: makes the module that follows a convolution of so many features; by default a trained
            quadratic for each. There is no other normalisation: `HermiteActivation` brings its own.
        width: the channels of the first third.
        classes: the number of logits.
        image_shape: (height, width, channels) of an image.
        rngs: of the first weights.

    Raises:
        ValueError: another depth, or a width, number of classes or shape below 1.
    """

    def __init__(
        self,
        depth: int,
        activation: Callable[[int], LayerFunction] | None = None,
        *,
        width: int = 16,
        classes: int = 10,
        image_shape: tuple[int, int, int] = (32, 32, 3),
        rngs: nnx.Rngs,
    ) -> None:
        _check_sizes(depth, width, classes, image_shape)
        activation = quadratic if activation is None else activation
        self.depth, self.image_shape = depth, image_shape
        self.first_convolution = convolution(image_shape[-1], width, rngs=rngs)
        self.first_activation = activation(width)
        blocks, before = [], width
        for stage in range(STAGES):
            for number in range(depth // (2 * STAGES)):
                stride, after = (2 if stage and not number else 1), width << stage
                blocks.append(ResidualBlock(before, after, stride, activation, rngs=rngs))
                before = after
        self.blocks = nnx.List(blocks)
        self.output = nnx.Linear(before, classes, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: convolution, activation, the blocks, the mean over the image, dense."""
        return (self.first_convolution, self.first_activation, *self.blocks, image_mean, self.output)


class ResNet20(ResNet):
    """The residual network of 20 layers: 9 blocks, 40.6 million multiply-adds, 19 activations deep."""

    def __init__(self, activation: Callable[[int], LayerFunction] | None = None, *, rngs: nnx.Rngs) -> None:
        super().__init__(20, activation, rngs=rngs)


class ResNet32(ResNet):
    """The residual network of 32 layers: 15 blocks, 68.9 million multiply-adds, 31 activations deep."""

    def __init__(self, activation: Callable[[int], LayerFunction] | None = None, *, rngs: nnx.Rngs) -> None:
        super().__init__(32, activation, rngs=rngs)


class ResNet44(ResNet):
    """The residual network of 44 layers: 21 blocks, 97.2 million multiply-adds, 43 activations deep."""

    def __init__(self, activation: Callable[[int], LayerFunction] | None = None, *, rngs: nnx.Rngs) -> None:
        super().__init__(44, activation, rngs=rngs)


class ResNet56(ResNet):
    """The residual network of 56 layers: 27 blocks, 125.5 million multiply-adds, 55 activations deep."""

    def __init__(self, activation: Callable[[int], LayerFunction] | None = None, *, rngs: nnx.Rngs) -> None:
        super().__init__(56, activation, rngs=rngs)


def convolution(before: int, after: int, stride: int = 1, *, rngs: nnx.Rngs) -> nnx.Conv:
    """The convolution of 3x3 without a bias, with one row and column of zeros on each side."""
    around = ((1, 1), (1, 1))
    return nnx.Conv(
        before, after, (3, 3), strides=(stride, stride), padding=around, use_bias=False, rngs=rngs
    )


def image_mean(x: jax.Array) -> jax.Array:
    """The means of (batch, height, width, channels) over height and width: (batch, channels)."""
    return jnp.mean(x, (1, 2))


def _check_sizes(depth: int, width: int, classes: int, image_shape: tuple[int, ...]) -> None:
    if depth < 8 or depth % (2 * STAGES) != 2:
        raise ValueError(
            f"a residual network of depth {depth} was asked for, but three times n blocks of two layers, the "
            "first convolution and the dense layer make depths of 6 n + 2: 8, 14, 20, 26, 32, ..."
        )
    if len(image_shape) != 3 or min(width, classes, *image_shape) < 1:
        raise ValueError(
            f"a residual network needs a width and classes of 1 or more, and images of (height, width, "
            f"channels), but found width={width}, classes={classes}, image_shape={image_shape}."
        )
