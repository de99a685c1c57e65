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
import numpy as np

from fhejax.ckks.encoding.vector_encoding import encoded_residues, significand_and_exponent
from fhejax.ckks.keys import shared_levels, switching
from fhejax.ckks.keys.switching import Decomposition, divide_by_special, extended_moduli
from fhejax.ckks.linear_transform.diagonals import from_words
from fhejax.ckks.linear_transform.transform import LinearTransform
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import SwitchingKey
from fhejax.ring import Ring, Twiddles, modular, multiply_integers, permute, twiddles
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.ring import SMALLEST_DEGREE
from fhejax.ring.subring import embedding
from fhejax.ring.transform import chosen_method
from fhejax.ring.wide import kernel, wide

_TERMS_AT_ONCE = 4  # of a streamed sum, so that the sum is read and written less often


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def lift(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    """P times a ciphertext, uint32 [..., 2, limb of Q_level, N], as a pair: 0 modulo the primes of P."""
    moduli, special = params.level_moduli(level), math.prod(params.special)
    lifted = multiply_integers(data, moduli, tuple(special % q for q in moduli))
    padding = [(0, 0)] * (lifted.ndim - 2) + [(0, len(params.special)), (0, 0)]
    return jnp.pad(lifted, padding)


def decompose_at(x: jax.Array, params: Parameters, level: int, shared: int | None = None) -> Decomposition:
    """The digits of a polynomial, uint32 [..., limb of Q_level, N], or with the limbs of a shared level."""
    if shared is not None:
        return shared_levels.decompose(x, params, level, shared)
    return _decompose(x, twiddles_of(params), params, level)


_decompose = functools.partial(kernel, static_argnames=("params", "level"))(wide(switching.decompose))


def divide_mask(pair: jax.Array, params: Parameters, level: int, shared: int | None = None) -> jax.Array:
    """The second of a pair divided by P, rounding: uint32 [..., limb of Q_level or the shared level, N]."""
    if shared is not None:
        return shared_levels.divided_component(pair, 1, params, level, shared, level)
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
def sum_of_products(
    pairs: tuple[jax.Array, ...],
    weights: jax.Array,
    start: np.int32,
    params: Parameters,
    level: int,
    total: jax.Array | None = None,
) -> jax.Array:
    """`total` plus the sum of pairs[i] * weights[start + i]: a pair.

    Args:
        pairs: of one shape.
        weights: uint32 [term, limb of Q_level then P, N].
        start: an integer; not static, so that every giant step shares the kernel.
    """
    moduli = constants(extended_moduli(params, level))
    rows = jax.lax.dynamic_slice_in_dim(weights, start, len(pairs))
    terms = ((pair, rows[number]) for number, pair in enumerate(pairs))
    return modular.multiply_and_sum(terms, moduli, total)


def streamed_sum(
    pairs: jax.Array,
    transform: LinearTransform,
    places: np.ndarray,
    start: int,
    stop: int,
    level: int,
    total: jax.Array | None = None,
) -> jax.Array:
    """`total` plus the products of pairs with diagonals that are held as numbers: a few at a time.

    Args:
        pairs: uint32 [baby, ..., 2, limb of Q_level then P, N].
        transform: whose diagonals are numbers.
        places: int32 [term], the baby of each term.
        start: the first term.
        stop: after the last term.
        level: of the pairs: that of the transform, or one that it shares.
        total: a pair.
    """
    params = transform.params
    total = jnp.zeros(pairs.shape[1:], jnp.uint32) if total is None else total
    padded = np.append(places, np.repeat(places[-1:], _TERMS_AT_ONCE - 1))
    steps = (padded, np.int32(start), np.int32(stop))
    scale = significand_and_exponent(transform.scale)
    held = embedding(params.ring, _degree_of_period(params.ring, transform.diagonals.shape[-1]))
    method = chosen_method(held.small, params.ring)
    twiddles_held = twiddles(held.small, params.moduli + params.special, method=method)
    return _streamed_sum(
        pairs, transform.diagonals, steps, scale, total, twiddles_held, held.order, params, level
    )


def _degree_of_period(ring: Ring, period: int) -> int:
    """The degree of the ring that holds numbers of a period in its slots."""
    return max(SMALLEST_DEGREE, period * (ring.degree // ring.slots))


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _streamed_sum(
    pairs: jax.Array,
    diagonals: jax.Array,
    steps: tuple[np.ndarray, np.int32, np.int32],
    scale: tuple[jax.Array, np.int32],
    total: jax.Array,
    small_twiddles: Twiddles,
    order: jax.Array | np.ndarray,
    params: Parameters,
    level: int,
) -> jax.Array:
    """The sum, a few terms at a time: what repeats itself is encoded in the smaller ring of its period."""
    everything = extended_moduli(params, level)
    broad = jax.tree.map(lambda table: table[..., None, None, None], constants(everything))
    held = embedding(params.ring, small_twiddles.ring.degree)
    places, start, stop = (jnp.asarray(step) for step in steps)

    def term(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        numbers = jax.lax.dynamic_index_in_dim(diagonals, number, keepdims=False)
        values = jnp.where(number < stop, from_words(numbers, held.small.slots), 0.0)
        residues = encoded_residues(values, *scale, small_twiddles, held.small, everything)
        pair = jax.lax.dynamic_index_in_dim(pairs, places[number], keepdims=False)
        return held.split(pair), held.spread(materialise(residues), order)

    def turn(number: jax.Array, total: jax.Array) -> jax.Array:
        first = start + number * _TERMS_AT_ONCE
        terms = [term(first + place) for place in range(_TERMS_AT_ONCE)]
        return modular.multiply_and_sum(terms, broad, total)

    turns = -(-(stop - start) // _TERMS_AT_ONCE)
    return jax.lax.fori_loop(0, turns, turn, held.split(total)).reshape(total.shape)
