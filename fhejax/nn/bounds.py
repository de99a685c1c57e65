"""Interval arithmetic through a network: what its logits can reach for any image whatever."""

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.nn.activations.polynomial_activation import Square
from fhejax.nn.batch_norm import Identity
from fhejax.nn.models import LayerFunction, Network
from fhejax.nn.residual_networks import Block

Bounds = tuple[jax.Array, jax.Array]


def logit_bounds(network: Network, low: float = 0.0, high: float = 1.0) -> Bounds:
    """The bounds of every logit over all images with pixels in [low, high].

    Sound for each layer and differentiable in the weights, so that training can keep it small
    (interval bound propagation, Gowal et al., arXiv 1810.12715). Rounding of float32 is not counted.

    Args:
        network: in inference mode.
        low: the smallest value of a pixel.
        high: the largest value of a pixel.

    Returns:
        Two arrays (10,) float32, lower and upper.

    Raises:
        TypeError: a layer with no interval rule here (a general polynomial, a module of another kind).
    """
    shape = (1, *network.image_shape)
    interval = (jnp.full(shape, low, jnp.float32), jnp.full(shape, high, jnp.float32))
    for layer in network.layers():
        interval = _propagate(layer, interval)
    return interval[0][0], interval[1][0]


def logit_magnitude(network: Network) -> jax.Array:
    """The largest magnitude that any logit can reach for pixels in [0, 1], a scalar."""
    low, high = logit_bounds(network)
    return jnp.max(jnp.maximum(jnp.abs(low), jnp.abs(high)))


def _propagate(layer: LayerFunction, interval: Bounds) -> Bounds:
    low, high = interval
    if isinstance(layer, Square):
        return _square(low, high)
    if isinstance(layer, nnx.Conv | nnx.Linear):
        return _affine(layer, low, high)
    if isinstance(layer, Block):
        return _residual(layer, interval)
    if isinstance(layer, nnx.Module) and not isinstance(layer, nnx.BatchNorm | Identity):
        raise TypeError(
            f"logit_bounds has no rule for {type(layer).__name__}: it bounds squares and affine "
            "layers. Use fhejax.compile, whose report bounds every polynomial."
        )
    # Normalisation with a negative scale swaps the ends; pooling and reshaping keep them.
    ends = layer(low), layer(high)
    return jnp.minimum(*ends), jnp.maximum(*ends)


def _square(low: jax.Array, high: jax.Array) -> Bounds:
    nearest = jnp.maximum(jnp.maximum(low, -high), jnp.zeros_like(low))
    furthest = jnp.maximum(-low, high)
    return nearest * nearest, furthest * furthest


def _residual(block: Block, interval: Bounds) -> Bounds:
    """The bounds of a block; that both arms read the same numbers is not made use of."""
    low, high = _propagate(block.shortcut_layer(), interval)
    for layer in (block.first, block.first_activation, block.second):
        interval = _propagate(layer, interval)
    return _propagate(block.second_activation, (interval[0] + low, interval[1] + high))


def _affine(layer: nnx.Conv | nnx.Linear, low: jax.Array, high: jax.Array) -> Bounds:
    definition, state = nnx.split(layer)
    absolute = nnx.merge(definition, jax.tree.map(jnp.abs, state))
    half = jnp.asarray(0.5, low.dtype)
    radius = (high - low) * half
    centre = layer((low + high) * half)
    spread = absolute(radius) - absolute(jnp.zeros_like(radius))
    return centre - spread, centre + spread
