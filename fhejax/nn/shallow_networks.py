"""Shallow convolutional networks for small colour images, whose activations are polynomials.

At inference the logits are a polynomial of the pixels: `nnx.view(network, use_running_average=True)`.
"""

from collections.abc import Callable

from flax import nnx

from fhejax.nn.activations.polynomial_activation import Square
from fhejax.nn.batch_norm import Identity
from fhejax.nn.models import LayerFunction, Network, average_pool, flatten, quadratic
from fhejax.nn.residual_networks import convolution

_FEATURES = (32, 64, 64, 128)
_HCNN_FEATURES = (32, 64, 128)
_POOLED = (True, False, True, True)


class ShallowCifar(Network):
    """A network of four convolutions for CIFAR-10, four activations deep.

    32 maps of 3x3 (32x32x32), means over 2x2, 64 maps (16x16x64) twice, means, 128 maps (8x8x128), means
    (4x4x128 = 2,048), 10 logits; an activation follows each convolution. Convolutions have zeros around the
    image and no bias; 19.8 million multiply-adds.

    Args:
        activation: makes the module that follows a convolution of so many features; by default a trained
            quadratic for each.
        rngs: of the first weights.
    """

    image_shape = (32, 32, 3)

    def __init__(self, activation: Callable[[int], LayerFunction] | None = None, *, rngs: nnx.Rngs) -> None:
        activation = quadratic if activation is None else activation
        before = (self.image_shape[-1], *_FEATURES)
        pairs = zip(before, _FEATURES, strict=False)
        self.convolutions = nnx.List([convolution(b, a, rngs=rngs) for b, a in pairs])
        self.activations = nnx.List([activation(features) for features in _FEATURES])
        self.output = nnx.Linear(2048, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: (convolution, activation, perhaps the means over 2x2) four times, flatten, dense."""
        blocks = zip(self.convolutions, self.activations, _POOLED, strict=True)
        inner = [(c, a, average_pool) if pooled else (c, a) for c, a, pooled in blocks]
        return (*(layer for block in inner for layer in block), flatten, self.output)


class HCNNCifar(Network):
    """The CIFAR-10 network of HCNN (Al Badawi et al., arXiv 1811.00778), eleven layers deep.

    32 maps of 3x3 (32x32x32), square, means over 2x2, 64 maps (16x16x64), square, means, 128 maps (8x8x128),
    square, means (4x4x128 = 2,048), 256 units, 10 logits; 10.8 million multiply-adds. Convolutions have zeros
    around the image.

    Args:
        normalise: with batch normalisation between a convolution and its square, for training.
            `fold_batch_norm` makes the weights of a network without.
        rngs: of the first weights.
    """

    image_shape = (32, 32, 3)

    def __init__(self, *, normalise: bool = True, rngs: nnx.Rngs) -> None:
        pairs = zip((self.image_shape[-1], *_HCNN_FEATURES), _HCNN_FEATURES, strict=False)
        self.convolutions = nnx.List([nnx.Conv(b, a, (3, 3), padding="SAME", rngs=rngs) for b, a in pairs])
        self.normalisations = nnx.List(
            [_normalisation(a, rngs) if normalise else Identity() for a in _HCNN_FEATURES]
        )
        self.squares = nnx.List([Square() for _ in _HCNN_FEATURES])
        self.hidden = nnx.Linear(2048, 256, rngs=rngs)
        self.output = nnx.Linear(256, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: (convolution, normalisation, square, means) three times, flatten, dense, dense."""
        blocks = zip(self.convolutions, self.normalisations, self.squares, strict=True)
        inner = [layer for block in blocks for layer in (*block, average_pool)]
        return (*inner, flatten, self.hidden, self.output)


def _normalisation(features: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    # (u / 2 + 1)^2 = u^2 / 4 + u + 1: at first the square is nearly linear, for it learns little otherwise.
    constant = nnx.initializers.constant
    return nnx.BatchNorm(features, momentum=0.9, scale_init=constant(0.5), bias_init=constant(1.0), rngs=rngs)
