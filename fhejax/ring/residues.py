"""Residues to signed numbers: mixed-radix composition."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import wide


@functools.partial(jax.jit, static_argnames="moduli")
@wide
def residues_to_float(x: jax.Array, moduli: tuple[int, ...]) -> jax.Array:
    """The centred representative in float64: uint32 [..., limb, N] to float64 [..., N].

    Garner's digits, each centred: x = v_0 + v_1 q_0 + v_2 q_0 q_1 + ... A value much smaller than
    the product has zeros for its high digits, so no bit is lost to cancellation.
    """
    digits: list[jax.Array] = []
    for index, q in enumerate(moduli):
        digits.append(_digit(x[..., index, :], digits, moduli[:index], q))
    weights = [float(math.prod(moduli[:index])) for index in range(len(moduli))]
    total = jnp.zeros((), jnp.float64)
    for digit, weight in zip(reversed(digits), reversed(weights), strict=True):
        total = total + digit.astype(jnp.float64) * weight
    return total


def _digit(residue: jax.Array, digits: list[jax.Array], lower: tuple[int, ...], q: int) -> jax.Array:
    """v = (x - sum of lower digits) / prod(lower) mod q, centred, int64 [..., N]."""
    single = constants((q,))
    total = residue[..., None, :]
    for index, digit in enumerate(digits):
        weight = np.full((1, 1), math.prod(lower[:index]) % q, np.uint32)
        term = modular.multiply(modular.reduce_signed(digit[..., None, :], single), weight, single)
        total = modular.subtract(total, term, single.value)
    inverse = np.full((1, 1), pow(math.prod(lower), -1, q), np.uint32)
    value = modular.multiply(total, inverse, single)[..., 0, :].astype(jnp.int64)
    return jnp.where(value > q // 2, value - q, value)
