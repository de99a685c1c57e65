"""A shallow convolutional network for small colour images, whose activations are polynomials.

At inference the logits are a polynomial of the pixels: `nnx.view(network, use_running_average=True)`.
"""

from collections.abc import Callable

from flax import nnx

from fhejax.nn.models import LayerFunction, Network, average_pool, flatten, quadratic
from fhejax.nn.residual_networks import convolution

_FEATURES = (32, 64, 64, 128)
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
