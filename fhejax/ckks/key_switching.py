"""Hybrid key switching (Han and Ki, "Better bootstrapping for approximate homomorphic encryption", 2020).

A component that multiplies s^2 or a rotated s is cut into digits of a few primes each, every digit is
raised exactly to all primes of Q and P, multiplied with the key, and the sum divided by P. All
digits share one batched transform. Added coefficient variance: M V_e sum of Q_j^2 / (12 P^2), plus
the rounding floor (1 + M V_s) / 12, with M the ambient degree.
"""

import math

import jax
import jax.numpy as jnp

from fhejax.ckks.keys import digit_ranges
from fhejax.ckks.parameters import Parameters
from fhejax.ckks.types import SwitchingKey
from fhejax.ring import (
    convert_basis,
    divide_by_moduli,
    inverse_ntt,
    modular,
    multiply_integers,
    ntt,
)
from fhejax.ring.modular import constants

_SUM_LENGTH = 16


def decompose(x: jax.Array, params: Parameters, level: int) -> jax.Array:
    """ModUp: every digit of x in the basis Q_level P.

    Args:
        x: uint32 [..., limb, N], evaluation domain.

    Returns:
        uint32 [..., digit, limb of Q then P, N], evaluation domain. Limbs of the digit itself are
        those of x; the others come from one transform of all digits together.
    """
    moduli = params.level_moduli(level)
    everything = moduli + params.special
    ranges = digit_ranges(params, level)
    coefficients = inverse_ntt(x, params.ring, moduli)
    raised, layout = [], ()
    for start, stop in ranges:
        others = everything[:start] + everything[stop:]
        raised.append(convert_basis(coefficients[..., start:stop, :], moduli[start:stop], others))
        layout += others
    values = ntt(jnp.concatenate(raised, -2), params.ring, layout)
    digits, width = [], 0
    for start, stop in ranges:
        count = len(everything) - (stop - start)
        part = values[..., width : width + count, :]
        width += count
        digits.append(
            jnp.concatenate([part[..., :start, :], x[..., start:stop, :], part[..., start:, :]], -2)
        )
    return jnp.stack(digits, -3)


def inner_product(digits: jax.Array, key: SwitchingKey, level: int) -> jax.Array:
    """sum over digits of digit * (body, mask): uint32 [..., 2, limb of Q then P, N].

    Up to 16 products of residues below 2**30 fit an unsigned 64-bit sum, so one reduction serves that
    many digits.
    """
    params = key.params
    moduli = params.level_moduli(level) + params.special
    count = digits.shape[-3]
    pair = jnp.stack([key.body, key.mask], 1)
    kept = len(params.levels[level])
    total = len(params.levels[key.level])
    pair = jnp.concatenate([pair[:count, :, :kept], pair[:count, :, total:]], -2)
    wide_digits = digits[..., None, :, :].astype(jnp.uint64)
    products = wide_digits * pair.astype(jnp.uint64)
    limbs = constants(moduli)
    result, *others = (
        modular.reduce_wide(products[..., start : start + _SUM_LENGTH, :, :, :].sum(-4), limbs)
        for start in range(0, count, _SUM_LENGTH)
    )
    for other in others:
        result = modular.add(result, other, limbs.value)
    return result


def switch_key(x: jax.Array, key: SwitchingKey, level: int) -> jax.Array:
    """x times the key's source secret, under the main secret, still times P.

    uint32 [..., limb, N] to [..., 2, limb of Q then P, N], evaluation domain.
    """
    return inner_product(decompose(x, key.params, level), key, level)


def divide_by_special(x: jax.Array, params: Parameters, level: int) -> jax.Array:
    """ModDown: uint32 [..., limb of Q then P, N] to [..., limb of Q, N], evaluation domain."""
    return divide_by_moduli(x, params.ring, params.level_moduli(level), params.special)


def relinearise_and_divide(data: jax.Array, key: SwitchingKey, level: int, target_level: int) -> jax.Array:
    """Three components to two, divided by the primes between two levels, in one ModDown.

    With P c_0 + k_0 and P c_1 + k_1 summed before, dividing by P and by the dropped primes at once
    saves a transform and one rounding.
    """
    params = key.params
    moduli = params.level_moduli(level)
    switched = switch_key(data[..., 2, :, :], key, level)
    special = math.prod(params.special)
    lifted = multiply_integers(data[..., :2, :, :], moduli, tuple(special % q for q in moduli))
    limbs = len(moduli)
    total = modular.add(switched[..., :limbs, :], lifted, constants(moduli).value)
    total = jnp.concatenate([total, switched[..., limbs:, :]], -2)
    kept = params.level_moduli(target_level)
    dropped = moduli[len(kept) :] + params.special
    return divide_by_moduli(total, params.ring, kept, dropped)
