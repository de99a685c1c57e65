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
    """The sum over the polynomial activations of mean(relu(|z - m| / B - margin)^2), a float32 scalar.

    z are the activation's inputs for the batch `x`, and (m - B, m + B) its interval, with the range as
    trained so far: gradients reach the weights and a trained range. After PILLAR's and the boundary
    loss (Diaa et al., arXiv 2306.08538; arXiv 2505.11589). `train` adds it in the same pass as the loss:
    `TrainingConfig.range_weight`.

    Args:
        network: a Flax module.
        x: a batch of its inputs, float32.
        margin: the share of its interval within which an input is not penalised.

    Raises:
        ValueError: no activation that has an interval, or a margin that is not positive.
    """
    return outputs_and_penalty(network, x, margin)[1]


def outputs_and_penalty(network: nnx.Module, x: jax.Array, margin: float = 0.9) -> tuple[Any, jax.Array]:
    """The outputs `network(x)` and the `range_penalty`, from one pass.

    Args:
        network: a Flax module.
        x: a batch of its inputs, float32.
        margin: that of `range_penalty`.

    Raises:
        ValueError: as `range_penalty`.
    """
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
