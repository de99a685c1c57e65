"""Rounding of weights to few bits, as an encrypted run stores them."""

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.nn.activations.polynomial_activation import Coefficients
from fhejax.nn.modules import AnyModule


def quantise_kernels(model: AnyModule, bits: int) -> AnyModule:
    """A copy of `model` whose kernels are rounded to few bits.

    Each kernel is scaled by its own largest magnitude to the integers up to `2**(bits - 1) - 1`,
    rounded to nearest, and scaled back; biases and the coefficients of activations stay as they are.

    Args:
        model: a Flax module.
        bits: those of a weight, sign included, at least 2.

    Raises:
        ValueError: fewer than 2 bits.
    """
    if bits < 2:
        raise ValueError(f"weights of {bits} bits were asked for; a sign and a digit need 2.")
    levels = float(2 ** (bits - 1) - 1)

    def rounded(array: jax.Array) -> jax.Array:
        if array.ndim < 2:
            return array
        largest = jnp.max(jnp.abs(array))
        step = jnp.where(largest > 0, largest / levels, jnp.ones_like(largest))
        return jnp.round(array / step) * step

    definition, coefficients, parameters, other = nnx.split(model, Coefficients, nnx.Param, ...)
    return nnx.merge(definition, coefficients, jax.tree.map(rounded, parameters), other)
