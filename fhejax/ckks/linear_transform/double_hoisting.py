"""Rotations that stay in the extended basis Q P, undivided: what sums of many rotations are made of.

A pair here is P times a ciphertext, uint32 [..., 2, limb of Q_level then P, N] in the evaluation domain. Sums
and products with plaintexts encoded over Q P commute with the division by P, which is
then done once for all (Bossuat, Mouchet, Troncoso-Pastoriza and Hubaux 2021, section 4). Each kernel
compiles once for a level and a shape; keys and permutations are arguments.
"""

import functools
import math

import jax
import jax.numpy as jnp

from fhejax.ckks.keys import switching
from fhejax.ckks.keys.switching import Decomposition, divide_by_special, extended_moduli
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import SwitchingKey
from fhejax.ring import Twiddles, modular, multiply_integers, permute
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide

_SUM_LENGTH = 15  # products of residues below 2**30 that an unsigned 64-bit sum holds beside a residue


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def lift(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    """P times a ciphertext, uint32 [..., 2, limb of Q_level, N], as a pair: 0 modulo the primes of P."""
    moduli, special = params.level_moduli(level), math.prod(params.special)
    lifted = multiply_integers(data, moduli, tuple(special % q for q in moduli))
    padding = [(0, 0)] * (lifted.ndim - 2) + [(0, len(params.special)), (0, 0)]
    return jnp.pad(lifted, padding)


def decompose(x: jax.Array, params: Parameters, level: int) -> Decomposition:
    """The digits of a polynomial, uint32 [..., limb of Q_level, N]."""
    return _decompose(x, twiddles_of(params), params, level)


_decompose = functools.partial(kernel, static_argnames=("params", "level"))(wide(switching.decompose))


def divide_mask(pair: jax.Array, params: Parameters, level: int) -> jax.Array:
    """The second of a pair divided by P, rounding: uint32 [..., limb of Q_level, N]."""
    return _divide_mask(pair, twiddles_of(params), params, level)


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _divide_mask(pair: jax.Array, twiddles: Twiddles, params: Parameters, level: int) -> jax.Array:
    return divide_by_special(pair[..., 1, :, :], params, level, level, twiddles)


@kernel
@wide
def rotate_pair(
    key: SwitchingKey,
    digits: Decomposition,
    pair: jax.Array,
    positions: jax.Array,
    total: jax.Array | None = None,
) -> jax.Array:
    """A pair under an automorphism, added to `total`.

    Args:
        key: from s to s(X^(1/e)).
        digits: of the pair's second component, divided by P.
        pair: of which the first component is taken.
        positions: the permutation of X -> X^e, int32 [N].
        total: a pair.
    """
    modulus = constants(extended_moduli(digits.params, digits.level)).value
    switched = switching.inner_product(digits, key)
    body = modular.add(switched[..., 0, :, :], pair[..., 0, :, :], modulus)
    rotated = permute(materialise(jnp.stack([body, switched[..., 1, :, :]], -3)), positions)
    return rotated if total is None else modular.add(total, rotated, modulus)


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def weighted_sum(
    pairs: tuple[jax.Array, ...], weights: jax.Array, start: jax.Array, params: Parameters, level: int
) -> jax.Array:
    """The sum of pairs[i] * weights[start + i]: a pair. Sums are reduced every 15 products.

    Args:
        pairs: of one shape.
        weights: uint32 [term, limb of Q_level then P, N].
        start: an integer; not static, so that every giant step shares the kernel.
    """
    moduli = constants(extended_moduli(params, level))
    rows = jax.lax.dynamic_slice_in_dim(weights, start, len(pairs))
    total = None
    for number, pair in enumerate(pairs):
        product = pair.astype(jnp.uint64) * rows[number].astype(jnp.uint64)
        total = product if total is None else total + product
        if number % _SUM_LENGTH == _SUM_LENGTH - 1:
            total = modular.reduce_wide(total, moduli).astype(jnp.uint64)
    return modular.reduce_wide(total, moduli)
