"""Sums and differences of a few squares in 64-bit integers, as means over small windows take them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fhejax.ring import modular

MOST_TERMS = 8  # squares are below 2**60, and their sum below 2**63


def sums_of_squares(signs: modular.Array, terms: Sequence[jax.Array], moduli: modular.Moduli) -> jax.Array:
    """The sums over k of signs[g, k] (x_0 + x_1 s)^2 for terms[k] = (x_0, x_1), uint32 in [0, q).

    All terms share one reduction.

    Args:
        signs: int32 [group, k], each -1, 0 or 1.
        terms: at most `MOST_TERMS` arrays of residues below 2**30, uint32 [group, position, 2, ...].
        moduli: of one limb, or of all, [limb, 1], where the last axes are [limb, column].

    Returns:
        uint32 [group, position, 3, ...].
    """

    def total(first: int, second: int) -> jax.Array:
        """The sum of a product of two components of every term."""
        result = jnp.zeros((), jnp.int64)
        for k, term in enumerate(terms):
            one, other = (term[:, :, poly].astype(jnp.int64) for poly in (first, second))
            factors = jnp.asarray(signs)[:, k, *(None,) * (one.ndim - 1)]
            result = result + one * other * factors.astype(jnp.int64)
        return modular.reduce_signed(result, moduli)

    middle = total(0, 1)
    return jnp.stack([total(0, 0), modular.add(middle, middle, moduli.value), total(1, 1)], 2)
