"""The networks of the encrypted-inference literature, as ordinary Flax modules.

Every network maps float32 images `(batch, height, width, 1)` in [0, 1] to logits `(batch, 10)`, and
at inference is a polynomial of the pixels: `nnx.view(network, use_running_average=True)`.
"""

from collections.abc import Callable

import jax
from flax import nnx

from fhejax.nn.activations.polynomial_activation import PolynomialActivation, Square

LayerFunction = Callable[[jax.Array], jax.Array]


class Network(nnx.Module):
    """A chain of layers; `layers()` is what other tools walk: bounds, folding, quantisation."""

    image_shape: tuple[int, int, int] = (28, 28, 1)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers in the order in which they are applied."""
        raise NotImplementedError

    def __call__(self, images: jax.Array) -> jax.Array:
        """The logits (batch, classes) of images (batch, *image_shape), float32.

        Raises:
            ValueError: images of another shape.
        """
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"{type(self).__name__} classifies images of shape (batch, "
                f"{', '.join(map(str, self.image_shape))}), but found {images.shape}. "
                "Reshape them, with the batch first and the channel last."
            )
        for number, layer in enumerate(self.layers(), 1):
            with jax.named_scope(f"{number} {getattr(layer, '__name__', type(layer).__name__)}"):
                images = layer(images)
        return images

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Let `nnx.view` set the mode of any network: without normalisation there is only one."""


class CryptoNets(Network):
    """The network of CryptoNets (Gilad-Bachrach et al., ICML 2016), with its layers collapsed.

    5 maps of 5x5 at stride 2 over an image padded by one row on top and one column on the left
    (13x13x5 = 845), square, 100 units, square, 10 logits; 106,625 multiply-adds.
    """

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(1, 5, (5, 5), strides=(2, 2), padding=((1, 0), (1, 0)), rngs=rngs)
        self.first_square = Square()
        self.hidden = nnx.Linear(845, 100, rngs=rngs)
        self.second_square = Square()
        self.output = nnx.Linear(100, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: convolution, square, flatten, dense, square, dense."""
        first = (self.convolution, self.first_square, flatten)
        return (*first, self.hidden, self.second_square, self.output)


class HCNN(Network):
    """The MNIST network of HCNN (Al Badawi et al., arXiv 1811.00778).

    5 maps of 5x5 at stride 2 (12x12x5 = 720), square, 50 maps of 5x5 at stride 2 (4x4x50 = 800),
    square, 10 logits; no padding; 126,000 multiply-adds.
    """

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.first_convolution = nnx.Conv(1, 5, (5, 5), strides=(2, 2), padding="VALID", rngs=rngs)
        self.first_square = Square()
        self.second_convolution = nnx.Conv(5, 50, (5, 5), strides=(2, 2), padding="VALID", rngs=rngs)
        self.second_square = Square()
        self.output = nnx.Linear(800, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: convolution, square, convolution, square, flatten, dense."""
        first = (self.first_convolution, self.first_square)
        return (*first, self.second_convolution, self.second_square, flatten, self.output)


class MLP(Network):
    """A dense network 484-128-10 with one square on the central 22x22 pixels; 63,232 multiply-adds.

    The network of the HomomorphicEncryption.org `ml-inference` benchmark's fastest entries.
    """

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(484, 128, rngs=rngs)
        self.square = Square()
        self.output = nnx.Linear(128, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: crop, flatten, dense, square, dense."""
        return (crop, flatten, self.hidden, self.square, self.output)


class CryptoDL(Network):
    """A network for CryptoDL's study of activations (Hesamifard et al., arXiv 1711.05189).

    32 maps of 5x5 at stride 2 with zeros around the image (14x14x32 = 6,272), 64 maps of 3x3 at stride
    2 (6x6x64 = 2,304), 64 maps of 3x3 (4x4x64 = 1,024), 10 logits, each convolution with batch
    normalisation and an activation; 1.4 million multiply-adds. CryptoDL does not print its layers:
    these were chosen for what they cost encrypted, where activations count most.

    `activation` makes the module that follows a convolution of so many features; by default it is a
    trained quadratic for each. `normalise=False` leaves normalisation out, for activations that hold
    their own and for studies.
    """

    def __init__(
        self,
        activation: Callable[[int], LayerFunction] | None = None,
        *,
        normalise: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        activation = quadratic if activation is None else activation
        shapes = ((1, 32, 5, 2, "SAME"), (32, 64, 3, 2, "VALID"), (64, 64, 3, 1, "VALID"))
        blocks = []
        for before, after, size, stride, padding in shapes:
            convolution = nnx.Conv(
                before, after, (size, size), strides=(stride, stride), padding=padding, rngs=rngs
            )
            norms = [nnx.BatchNorm(after, momentum=0.9, rngs=rngs)] if normalise else []
            blocks.append([convolution, *norms, activation(after)])
        self.blocks = nnx.List([nnx.List(block) for block in blocks])
        self.output = nnx.Linear(1024, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: (convolution, normalisation, activation) three times, flatten, dense."""
        return (*(layer for block in self.blocks for layer in block), flatten, self.output)


class Digits(Network):
    """A small network for scikit-learn's 8x8 digits, with every kind of layer there is here.

    16 maps of 3x3, batch normalisation, a quadratic for each map, 2x2 average pooling (3x3x16 =
    144), 32 units, square, 10 logits; 10,112 multiply-adds, two activations deep.
    """

    image_shape = (8, 8, 1)

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(1, 16, (3, 3), padding="VALID", rngs=rngs)
        self.normalisation = nnx.BatchNorm(16, momentum=0.9, rngs=rngs)
        self.polynomial = PolynomialActivation(2, features=16)
        self.hidden = nnx.Linear(144, 32, rngs=rngs)
        self.square = Square()
        self.output = nnx.Linear(32, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers: convolution, normalisation, polynomial, pooling, flatten, dense, square, dense."""
        first = (self.convolution, self.normalisation, self.polynomial)
        return (*first, average_pool, flatten, self.hidden, self.square, self.output)


def quadratic(features: int) -> LayerFunction:
    """A trained polynomial of degree 2 for each of the features, at first an approximation of ReLU."""
    return PolynomialActivation(2, features=features)


def flatten(x: jax.Array) -> jax.Array:
    """The entries of each of a batch as one axis, (batch, everything else), in row-major order."""
    return x.reshape(x.shape[0], -1)


def crop(images: jax.Array) -> jax.Array:
    """The central 22x22 pixels of images (batch, 28, 28, channels)."""
    return images[:, 3:25, 3:25, :]


def average_pool(x: jax.Array) -> jax.Array:
    """The means over disjoint 2x2 windows of (batch, height, width, channels)."""
    # Not nnx.avg_pool, which divides by an integer array: strict promotion forbids that.
    return nnx.pool(x, 0.0, jax.lax.add, (2, 2), (2, 2), "VALID") * 0.25
