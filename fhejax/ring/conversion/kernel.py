"""The kernel, whose programs hold a run of coefficients modulo all source primes in registers.

Only what runs it imports this module, for it imports Pallas.
"""

import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl

from fhejax.ring import modular
from fhejax.ring.conversion.constants import Conversion
from fhejax.ring.transform.pallas.backends import Backend

_RUN = 256  # coefficients of a program, at most
_WARPS = 4


def converted(x: jax.Array, constants: Conversion, backend: Backend) -> jax.Array:
    """The conversion of [polynomial, source limb, N] to [polynomial, target limb, N], as `convert_basis`."""
    polynomials, sources, degree = x.shape
    targets, run = len(constants.weights), math.gcd(degree, _RUN)

    def block(limbs: int) -> pl.BlockSpec:
        return pl.BlockSpec((None, limbs, run), lambda i, j: (i, 0, j))

    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, constants))
    whole = [pl.BlockSpec(leaf.shape, lambda i, j, axes=leaf.ndim: (0,) * axes) for leaf in leaves]

    def body(source: Any, *rest: Any) -> None:
        _convert(source, structure.unflatten(rest[:-1]), rest[-1], sources, targets)

    return pl.pallas_call(
        body,
        out_shape=jax.ShapeDtypeStruct((polynomials, targets, degree), jnp.uint32),
        grid=(polynomials, degree // run),
        in_specs=[block(sources), *whole],
        out_specs=block(targets),
        **backend.options(_WARPS),
    )(x, *leaves)


def _convert(source: Any, constants: Any, result: Any, sources: int, targets: int) -> None:
    """sum of y_i Q/q_i - e Q mod p_j, with y_i = x_i (Q/q_i)^-1 mod q_i and e = round(sum of y_i / q_i)."""
    scaled = [
        modular.multiply_constant(source[i], *(constants.inverses[row, i] for row in range(3)))
        for i in range(sources)
    ]
    shares = (y.astype(jnp.float64) * constants.reciprocals[i] for i, y in enumerate(scaled))
    total = functools.reduce(operator.add, shares)
    overflow = _rounded(total)

    def target(j: jax.Array, carry: jax.Array) -> jax.Array:
        q, *others = (constants.moduli[row, j] for row in range(4))
        moduli = modular.Moduli(q, q, q, *others)  # the second and third are of products, of which are none
        terms = [(y, constants.weights[j, i]) for i, y in enumerate([*scaled, overflow])]
        result[j] = modular.multiply_and_sum(terms, moduli)
        return carry

    jax.lax.fori_loop(np.int32(0), np.int32(targets), target, np.int32(0))


def _rounded(x: jax.Array) -> jax.Array:
    """The integer nearest to x >= 0, uint32, the even one of two: as `jnp.round`, which Triton may lack."""
    below = jnp.floor(x)
    part, whole = x - below, below.astype(jnp.uint32)
    odd = (whole & np.uint32(1)) == np.uint32(1)
    return whole + ((part > 0.5) | ((part == 0.5) & odd)).astype(jnp.uint32)
