"""A penalty that keeps what goes into polynomials inside of the intervals where they are certified."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.approx.checks import check_positive
from fhejax.approx.polynomials.basis import midpoint_and_scale
from fhejax.nn.activations.hermite_activation import HermiteActivation
from fhejax.nn.activations.polynomial_activation import Activation, PolynomialActivation
from fhejax.nn.activations.replacement import activation_layers, preactivations


def range_penalty(network: nnx.Module, x: jax.Array, margin: float = 0.9) -> jax.Array:
    """Sum over the polynomial activations of mean(relu(|z - m| / B - margin)^2), a float32 scalar.

    z are the activation's inputs for the batch `x`, and (m - B, m + B) its interval, with the range as
    trained so far: gradients reach the weights and a trained range. After PILLAR's and the boundary
    loss (Diaa et al., arXiv 2306.08538; arXiv 2505.11589). 0 where all inputs are within `margin`
    times their interval. `train` adds it in the same pass as the loss: `TrainingConfig.range_weight`.

    Raises:
        ValueError: when no activation has an interval, or for a margin that is not positive.
    """
    return outputs_and_penalty(network, x, margin)[1]


def outputs_and_penalty(network: nnx.Module, x: jax.Array, margin: float = 0.9) -> tuple[Any, jax.Array]:
    """Return `network(x)` and its `range_penalty`, from one pass; errors as there."""
    margin = check_positive(margin, "margin of the range")
    found = activation_layers(network)
    if not any(isinstance(layer, PolynomialActivation | HermiteActivation) for layer in found):
        raise ValueError(
            f"a range penalty was asked for, but {type(network).__name__} has no PolynomialActivation or "
            "HermiteActivation, whose intervals it is about; leave it out."
        )
    outputs, inputs = preactivations(network, x)
    terms = [_excess(layer, z, margin) for layer, z in zip(found, inputs, strict=True)]
    return outputs, jnp.sum(jnp.stack(terms))


def _excess(activation: Activation, inputs: jax.Array, margin: float) -> jax.Array:
    if not isinstance(activation, PolynomialActivation | HermiteActivation):
        return jnp.zeros((), jnp.float32)
    midpoint, inverse = midpoint_and_scale(activation.unscaled_interval)
    unit = (inputs.astype(jnp.float32) / activation.range_scale() - midpoint) * inverse
    return jnp.mean(jax.nn.relu(jnp.abs(unit) - margin) ** 2)
