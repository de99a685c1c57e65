"""The networks that are trained encrypted, and one step of their training: plain Flax, JAX and optax."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from fhejax import approx

MOMENTUM = 0.9
SIGMOID_INTERVAL = (-12.0, 12.0)
STRIDE = 2  # of convolutions

Parameters = dict[str, Any]
Step = Callable[..., tuple[Parameters, Parameters]]


class Network(nnx.Module):
    """Layers with the activation z^2 + z between them; one layer alone is a linear map.

    Args:
        layers: convolutions of images (batch, height, width, channels), and dense layers, which take all
            numbers of a sample in one row.
    """

    def __init__(self, layers: Sequence[nnx.Conv | nnx.Linear]) -> None:
        self.layers = nnx.List(layers)

    def preactivations(self, x: jax.Array, disturb: "Disturbances | None" = None) -> list[jax.Array]:
        """The outputs of all layers before their activation, the network's own last.

        Args:
            x: float32 (batch, inputs), or images.
            disturb: noise that is added to these outputs, and to gradients by them, of each layer.
        """
        found: list[jax.Array] = []
        for number, layer in enumerate(self.layers):
            z = layer(x.reshape(len(x), -1) if isinstance(layer, nnx.Linear) else x)
            z = z if disturb is None else disturbed(z, *disturb[number])
            found.append(z)
            x = z * z + z
        return found

    def __call__(self, x: jax.Array) -> jax.Array:
        """The outputs, float32 (batch, outputs), of inputs (batch, ...)."""
        return self.preactivations(x)[-1]


def perceptron(sizes: Sequence[int], gain: float, seed: int) -> Network:
    """A multilayer perceptron; with two sizes it is a linear map.

    Args:
        sizes: of the input and of each layer's output.
        gain: standard deviation of the first kernels, times the root of their inputs.
        seed: of the first kernels; biases are zero.
    """
    initial, rngs = _initial(gain), nnx.Rngs(seed)
    pairs = itertools.pairwise(sizes)
    return Network([nnx.Linear(a, b, kernel_init=initial, rngs=rngs) for a, b in pairs])


def convolutional(size: int, window: int, maps: int, classes: int, gain: float, seed: int) -> Network:
    """A convolution of square images of one channel, and a dense layer.

    Args:
        size: of the images, which the stride halves.
        window: of the kernel, which is square too.
        maps: channels of the convolution's output.
        classes: outputs.
        gain: standard deviation of the first kernels, times the root of their inputs.
        seed: of the first kernels; biases are zero.
    """
    initial, rngs = _initial(gain), nnx.Rngs(seed)
    positions = math.ceil(size / STRIDE) ** 2
    return Network(
        [
            nnx.Conv(1, maps, (window, window), STRIDE, kernel_init=initial, rngs=rngs),
            nnx.Linear(maps * positions, classes, kernel_init=initial, rngs=rngs),
        ]
    )


def _initial(gain: float) -> nnx.initializers.Initializer:
    return nnx.initializers.variance_scaling(gain**2, "fan_in", "normal")


Disturbances = list[tuple[jax.Array, jax.Array]]
Preactivations = Callable[..., list[jax.Array]]


@jax.custom_vjp
def disturbed(value: jax.Array, forward: jax.Array, backward: jax.Array) -> jax.Array:
    """The value with noise added, and other noise added to the gradient by it; all of one shape."""
    return value + forward


disturbed.defvjp(
    lambda value, forward, backward: (value + forward, backward),
    lambda backward, gradient: (gradient + backward, jnp.zeros_like(backward), jnp.zeros_like(backward)),
)


def make_network(network: Network) -> tuple[Preactivations, Parameters]:
    """A network as a function of its parameters, and what these are at first.

    Returns:
        `preactivations(parameters, x, disturb=None)`, and the parameters in dictionaries.
    """
    graph, state = nnx.split(network, nnx.Param)

    def preactivations(
        parameters: Parameters, x: jax.Array, disturb: Disturbances | None = None
    ) -> list[jax.Array]:
        """The outputs of all layers before their activation."""
        filled = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(filled, parameters)
        return nnx.merge(graph, filled).preactivations(x, disturb)

    return preactivations, nnx.to_pure_dict(state)


def squared_error(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """The squared distance to targets (batch, classes), a mean over the batch."""
    return jnp.mean(jnp.sum((outputs - y) ** 2, 1))


@functools.cache
def sigmoid() -> approx.Polynomial:
    """The certified cubic that stands for the sigmoid: no other has a smaller largest error."""
    return approx.minimax("sigmoid", 3, SIGMOID_INTERVAL)


@functools.cache
def softplus() -> approx.Polynomial:
    """The antiderivative of `sigmoid()`, of which JAX takes the derivative again."""
    low, high = SIGMOID_INTERVAL
    integral = np.polynomial.chebyshev.chebint(np.asarray(sigmoid().coefficients), scl=(high - low) / 2)
    return approx.Polynomial.from_chebyshev(integral, SIGMOID_INTERVAL)


def cross_entropy(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """The cross entropy of labels 0 and 1, both (batch, 1), with a polynomial in place of softplus.

    Its derivative is a certified cubic in place of the sigmoid, on which alone the training depends.
    """
    return jnp.mean(softplus()(outputs) - y * outputs)


def make_step(preactivations: Preactivations, loss: Callable, rate: float) -> Step:
    """The training step that is compiled: the gradient by JAX, the update by optax.

    Args:
        preactivations: the network.
        loss: of outputs and targets.
        rate: the learning rate.

    Returns:
        step(parameters, momenta, x, y), the parameters and momenta after one step of Nesterov's method.
    """
    optimiser = optax.sgd(rate, momentum=MOMENTUM, nesterov=True)

    def step(
        parameters: Parameters,
        momenta: Parameters,
        x: jax.Array,
        y: jax.Array,
        disturb: Disturbances | None = None,
    ) -> tuple[Parameters, Parameters]:
        """The parameters and momenta after a step."""

        def objective(p: Parameters) -> jax.Array:
            return loss(preactivations(p, x, disturb)[-1], y)

        state = jax.tree.unflatten(
            jax.tree.structure(optimiser.init(parameters)), jax.tree.leaves(momenta)
        )  # optax's own nesting is no dictionary, and files of programs know dictionaries
        update, state = optimiser.update(jax.grad(objective)(parameters), state, parameters)
        new: Any = optax.apply_updates(parameters, update)
        return new, jax.tree.unflatten(jax.tree.structure(momenta), jax.tree.leaves(state))

    return step


def zero_momenta(parameters: Parameters) -> Parameters:
    """The momenta before the first step."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), parameters)
