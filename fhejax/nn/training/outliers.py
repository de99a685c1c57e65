"""Outliers among the inputs of activations: how far each image goes, and what that costs in training.

A polynomial grows beyond where its inputs usually lie, and an encrypted program has no room for values beyond
its plan. So training punishes each image by how far its inputs go, in deviations of their channel.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax.nn.activations.replacement import preactivations

Moments = tuple[tuple[jax.Array, jax.Array], ...]


def input_moments(network: nnx.Module, x: jax.Array | np.ndarray) -> Moments:
    """The means and deviations of each activation's inputs on a batch, each (channels,) float32.

    Args:
        network: in inference mode.
        x: a batch of its inputs.
    """

    @jax.jit
    def moments(x: jax.Array) -> Moments:
        return tuple((jnp.mean(z, 0), jnp.std(z, 0)) for z in preactivations(network, x)[1])

    return moments(jnp.asarray(x))


def outputs_and_outliers(
    network: nnx.Module, x: jax.Array, moments: Moments, threshold: float
) -> tuple[Any, jax.Array]:
    """The outputs `network(x)`, and a penalty (batch,) of each image, from one pass.

    The penalty is the sum over activations of log(1 + sum of max(|u| - threshold, 0)^2), where u are its
    inputs in deviations from their mean. The logarithm keeps the gradient of an image that goes very far
    small.

    Args:
        network: a Flax module.
        x: a batch of its inputs, float32.
        moments: from `input_moments`, which stay as they are while the network changes.
        threshold: the deviations within which an input costs nothing.

    Raises:
        ValueError: moments of other activations.
    """
    outputs, inputs = preactivations(network, x)
    if len(inputs) != len(moments):
        raise ValueError(
            f"the network has {len(inputs)} activations, but moments of {len(moments)} were given; measure "
            "them on this network by input_moments."
        )
    excess = functools.partial(_excess, x.shape[0], threshold)
    return outputs, jnp.sum(jnp.stack(list(map(excess, inputs, moments))), axis=0)


def _excess(
    batch: int, threshold: float, inputs: jax.Array, moments: tuple[jax.Array, jax.Array]
) -> jax.Array:
    mean, deviation = (jnp.expand_dims(moment, 0) for moment in moments)
    # A channel that is always the same has no deviation to measure by.
    unit = (inputs.astype(jnp.float32) - mean) / jnp.maximum(deviation, jnp.float32(1e-6))
    beyond = jax.nn.relu(jnp.abs(unit) - threshold) ** 2
    return jnp.log1p(jnp.sum(beyond.reshape(batch, -1), axis=1))
