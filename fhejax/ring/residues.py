"""Composition of signed numbers from residues, in a mixed radix."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide


@functools.partial(kernel, static_argnames="moduli")
@wide
def residues_to_float(x: modular.Array, moduli: tuple[int, ...]) -> jax.Array:
    """The centred representative in float64: uint32 [..., limb, N] to float64 [..., N].

    Garner's digits, each centred: x = v_0 + v_1 q_0 + v_2 q_0 q_1 + ... A value much smaller than
    the product has zeros for its high digits, so no bit is lost to cancellation. All limbs take a
    digit off together, in a loop: unrolled, 20 limbs take minutes to compile.
    """
    limbs = jax.tree.map(jnp.asarray, constants(moduli))
    inverses, weights = jnp.asarray(_inverses(moduli)), jnp.asarray(_weights(moduli))

    def step(index: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rest, total = state
        digit = _centred(jax.lax.dynamic_index_in_dim(rest, index, -2), limbs.value[index])
        rest = modular.subtract(rest, modular.reduce_signed(digit, limbs), limbs.value)
        rest = modular.multiply(rest, inverses[index], limbs)
        return rest, total + digit[..., 0, :].astype(jnp.float64) * weights[index]

    total = jnp.zeros((*x.shape[:-2], x.shape[-1]), jnp.float64)
    return jax.lax.fori_loop(0, len(moduli), step, (x, total))[1]


def _centred(residue: jax.Array, modulus: jax.Array) -> jax.Array:
    value = residue.astype(jnp.int64)
    return jnp.where(residue > modulus >> 1, value - modulus.astype(jnp.int64), value)


def _inverses(moduli: tuple[int, ...]) -> np.ndarray:
    """The inverses 1/q_i mod q_j for j > i, uint32 [i, j, 1]; zero elsewhere, where no digit is left."""
    rows = [[pow(q, -1, p) if j > i else 0 for j, p in enumerate(moduli)] for i, q in enumerate(moduli)]
    return np.array(rows, np.uint32)[:, :, None]


def _weights(moduli: tuple[int, ...]) -> np.ndarray:
    """The product of the primes before each, float64; finite, so that zero digits count nothing."""
    products = [math.prod(moduli[:index]) for index in range(len(moduli))]
    return np.array([float(min(product, 2**1023)) for product in products])
