"""Hybrid key switching (Han and Ki, "Better bootstrapping for approximate homomorphic encryption", 2020).

A component that multiplies s^2 or another secret is cut into digits of a few primes each, every digit is
raised exactly to all primes of Q and P, multiplied with the key, and the sum divided by P. All
digits share one batched transform. Added coefficient variance: M V_e sum of Q_j^2 / (12 P^2), plus
the rounding floor (1 + M V_s) / 12, with M the ambient degree.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from fhejax.ckks.keys import digit_ranges, key_digits
from fhejax.ckks.parameters import Parameters
from fhejax.ckks.types import SwitchingKey, static
from fhejax.ring import (
    convert_basis,
    divide_by_moduli,
    inverse_ntt,
    modular,
    multiply_integers,
    ntt,
)
from fhejax.ring.modular import constants

_SUM_LENGTH = 15  # products of residues below 2**30 that an unsigned 64-bit sum holds beside a residue


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decomposition:
    """The digits of a polynomial, raised to Q_level P: what hoisted rotations share.

    own: uint32 [..., limb, N], the polynomial, which holds each digit modulo its own primes.
    raised: uint32 [..., limb of every digit's other primes in turn, N]. Both in the evaluation domain.
    """

    own: jax.Array
    raised: jax.Array
    params: Parameters = static()
    level: int = static()

    def digit(self, number: int, start: int, stop: int) -> jax.Array:
        """Digit `number` modulo the primes at [start, stop) of Q_level P, a range no digit's end cuts."""
        low, high = digit_ranges(self.params, self.level)[number]
        if low <= start < high:
            return self.own[..., start:stop, :]
        total = len(extended_moduli(self.params, self.level))
        before = sum(total - (b - a) for a, b in digit_ranges(self.params, self.level)[:number])
        shift = before - (high - low if start >= high else 0)
        return self.raised[..., start + shift : stop + shift, :]


def extended_moduli(params: Parameters, level: int) -> tuple[int, ...]:
    """The primes of Q_level, then those of P."""
    return params.level_moduli(level) + params.special


def decompose(x: jax.Array, params: Parameters, level: int) -> Decomposition:
    """ModUp: every digit of x, uint32 [..., limb, N] in the evaluation domain, in the basis Q_level P."""
    moduli = params.level_moduli(level)
    everything = moduli + params.special
    coefficients = inverse_ntt(x, params.ring, moduli)
    raised, layout = [], ()
    for start, stop in digit_ranges(params, level):
        others = everything[:start] + everything[stop:]
        raised.append(convert_basis(coefficients[..., start:stop, :], moduli[start:stop], others))
        layout += others
    values = ntt(jnp.concatenate(raised, -2), params.ring, layout)
    return Decomposition(x, values, params, level)


def inner_product(digits: Decomposition, key: SwitchingKey) -> jax.Array:
    """sum over digits of digit * (body, mask): uint32 [..., 2, limb of Q_level then P, N]."""
    params, level = digits.params, digits.level
    limbs = len(params.level_moduli(level))
    blocks = [*digit_ranges(params, level), (limbs, limbs + len(params.special))]
    return jnp.concatenate([_block(digits, key, *block) for block in blocks], -2)


def _block(digits: Decomposition, key: SwitchingKey, start: int, stop: int) -> jax.Array:
    """The inner product modulo the primes at [start, stop) of Q_level P."""
    params, level = digits.params, digits.level
    moduli = constants(extended_moduli(params, level)[start:stop])
    row = _key_row(params, level, key.level, start)
    first = key_digits(params, key.level).index(_digit_of_key(params, level, key.level))
    total = None
    for number in range(len(digit_ranges(params, level))):
        digit = digits.digit(number, start, stop)[..., None, :, :].astype(jnp.uint64)
        part = key.data[first + number, :, row : row + stop - start].astype(jnp.uint64)
        total = digit * part if total is None else total + digit * part
        if number % _SUM_LENGTH == _SUM_LENGTH - 1:
            total = modular.reduce_wide(total, moduli).astype(jnp.uint64)
    return modular.reduce_wide(total, moduli)


def _key_row(params: Parameters, level: int, key_level: int, position: int) -> int:
    """Where a key of `key_level` holds the prime at `position` of Q_level P."""
    (first, last), (low, high) = params.limb_range(level), params.key_range(key_level)
    return position + first - low if position < last - first else position - (last - first) + high - low


def _digit_of_key(params: Parameters, level: int, key_level: int) -> tuple[int, int]:
    """The digit of the key in which the first prime of the level lies."""
    first, _ = params.limb_range(level)
    return next(d for d in key_digits(params, key_level) if d[0] <= first < d[1])


def switch_key(x: jax.Array, key: SwitchingKey, level: int) -> jax.Array:
    """x times the key's source secret, under its target, still times P.

    uint32 [..., limb, N] to [..., 2, limb of Q then P, N], evaluation domain.
    """
    return inner_product(decompose(x, key.params, level), key)


def divide_by_special(x: jax.Array, params: Parameters, level: int, target_level: int) -> jax.Array:
    """ModDown and rescale at once: uint32 [..., limb of Q_level then P, N] to [..., limb of Q_target, N]."""
    source = extended_moduli(params, level)
    return divide_by_moduli(x, params.ring, source, params.level_moduli(target_level))


def add_lifted(switched: jax.Array, x: jax.Array, params: Parameters, level: int) -> jax.Array:
    """switched + P x: uint32 [..., limb of Q then P, N] and [..., limb of Q, N] (P x is 0 modulo P)."""
    moduli = params.level_moduli(level)
    special = math.prod(params.special)
    lifted = multiply_integers(x, moduli, tuple(special % q for q in moduli))
    total = modular.add(switched[..., : len(moduli), :], lifted, constants(moduli).value)
    return jnp.concatenate([total, switched[..., len(moduli) :, :]], -2)


def relinearise_and_divide(data: jax.Array, key: SwitchingKey, level: int, target_level: int) -> jax.Array:
    """Three components to two, divided by the primes between two levels, in one ModDown.

    With P c_0 + k_0 and P c_1 + k_1 summed before, dividing by P and by the dropped primes at once
    saves a transform and one rounding.
    """
    switched = switch_key(data[..., 2, :, :], key, level)
    total = add_lifted(switched, data[..., :2, :, :], key.params, level)
    return divide_by_special(total, key.params, level, target_level)
