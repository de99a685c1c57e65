"""Plain numbers on ciphertexts: a constant added to every slot, and sums with integer weights.

A constant polynomial has the same residue at every evaluation point, so that neither takes an encoding. Both
work on three components, at the scale of the product as it is.
"""

import functools
import math
from collections.abc import Sequence
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.values import exact_number
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Ciphertext, Domain, check_same_parameters, common_key_id
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide

_ONE = Scale.of(1)


def add_scalar(ciphertext: Value, value: float | Fraction) -> Value:
    """x + value in every slot, `value` rounded to a multiple of 1 / scale; level and scale stay.

    Args:
        ciphertext: of two or three components, in either domain.
        value: a real number; a `Fraction` is rounded once.

    Raises:
        TypeError: a number that is not real, or traced by JAX.
        ValueError: a number that is not finite, does not fit the modulus, or rounds to zero without being it.
    """
    number = exact_number(value, "add_scalar")
    return _plus(ciphertext, number, encode_scalar(number, ciphertext.scale, ciphertext.moduli, "add_scalar"))


def encode_scalar(number: Fraction, scale: Scale, moduli: tuple[int, ...], operation: str) -> int:
    """number * scale, rounded.

    Raises:
        ValueError: an integer that does not fit the moduli, or zero for a number that is not.
    """
    integer, modulus = round(number * scale.fraction()), math.prod(moduli)
    if 2 * abs(integer) >= modulus:
        raise ValueError(
            f"{operation} was given {_shown(number)}, at scale {scale} and a modulus of "
            f"2**{math.log2(modulus):.1f}, which holds less than {_shown(modulus / scale.fraction() / 2)}; "
            f"divide what it belongs to first, or use a smaller scale or a higher level."
        )
    if number and not integer:
        raise ValueError(
            f"{operation} was given {_shown(number)}, which rounds to zero at scale {scale}; leave it out, "
            f"or use a larger scale: encode it at one, and use multiply_plain or add."
        )
    return integer


def _shown(number: Fraction) -> str:
    """Three digits, of numbers beyond float64 too."""
    bits = math.log2(abs(number.numerator)) - math.log2(number.denominator) if number else 0.0
    return f"{float(number):.3g}" if abs(bits) < 1000 else f"{'-' * (number < 0)}2**{bits:.1f}"


def shift(ciphertext: Value, number: Fraction) -> Value:
    """x + number in every slot, where a number that rounds to zero does no harm."""
    return _plus(ciphertext, number, round(number * ciphertext.scale.fraction()))


def _plus_noise(x: NoiseEstimate, number: Fraction, integer: int) -> NoiseEstimate:
    del integer
    return estimates.add_constant(x, float(number))


@operation(noise=_plus_noise)
def _plus(ciphertext: Ciphertext, number: Fraction, integer: int) -> Ciphertext:
    """x + number, which is integer / scale."""
    del number
    moduli = ciphertext.moduli
    data = _add_constant(ciphertext.data, _residues([integer], moduli)[0], moduli, ciphertext.domain)
    return ciphertext.replace(data=data)


@functools.partial(kernel, static_argnames=("moduli", "domain"))
@wide
def _add_constant(
    data: jax.Array, residues: jax.Array | np.ndarray, moduli: tuple[int, ...], domain: Domain
) -> jax.Array:
    q = constants(moduli).value
    place = (..., 0, slice(None), slice(None) if domain == "evaluation" else slice(1))
    return data.at[place].set(modular.add(data[place], residues[:, None], q))


def _residues(integers: Sequence[int], moduli: tuple[int, ...]) -> np.ndarray:
    """uint32 [integer, limb]."""
    return np.array([[i % q for q in moduli] for i in integers], np.uint32)


def multiply_integer(ciphertext: Value, factor: int) -> Value:
    """x times an integer, level and scale unchanged (the value is multiplied).

    Raises:
        ValueError: an integer of half the modulus or more.
    """
    encode_scalar(Fraction(factor), _ONE, ciphertext.moduli, "multiply_integer")
    return _times(ciphertext, factor)


@operation(noise=estimates.multiply_integer)
def _times(ciphertext: Ciphertext, factor: int) -> Ciphertext:
    residues = _residues([factor], ciphertext.moduli)[0]
    return ciphertext.replace(data=_multiply_integer(ciphertext.data, residues, ciphertext.moduli))


@functools.partial(kernel, static_argnames="moduli")
@wide
def _multiply_integer(
    data: jax.Array, residues: jax.Array | np.ndarray, moduli: tuple[int, ...]
) -> jax.Array:
    return modular.multiply(data, residues[:, None], constants(moduli))


def weighted_sum(ciphertexts: Sequence[Value], weights: Sequence[int], constant: int = 0) -> Value:
    """sum of weight * x, exactly, plus `constant` / scale in every slot: one pass over all of them.

    Args:
        ciphertexts: data [..., 2 or 3, limb, N] of one batch shape, level and scale, evaluation domain.
        weights: any integers; the level and the scale stay.
        constant: an integer, already times the scale.

    Raises:
        ValueError: other parameters or keys, or ciphertexts of different levels or scales.
    """
    first = ciphertexts[0]
    if list(weights) == [1] and constant == 0:
        return first
    if {(x.level, x.scale) for x in ciphertexts} != {(first.level, first.scale)}:
        found = ", ".join(f"level {x.level} and scale {x.scale}" for x in ciphertexts)
        raise ValueError(f"weighted_sum was given ciphertexts of {found}; align them to one level and scale.")
    check_same_parameters(*ciphertexts)
    return _weighted(ciphertexts, weights, constant)


@operation(noise=estimates.weighted_sum)
def _weighted(ciphertexts: Sequence[Ciphertext], weights: Sequence[int], constant: int) -> Ciphertext:
    first, key_id = ciphertexts[0], common_key_id(*ciphertexts)
    residues = _residues([*weights, constant], first.moduli)
    data = _sum_of_products(tuple(x.data for x in ciphertexts), residues, first.moduli)
    return first.replace(data=data, key_id=key_id)


@functools.partial(kernel, static_argnames="moduli")
@wide
def _sum_of_products(
    data: tuple[jax.Array, ...], residues: jax.Array | np.ndarray, moduli: tuple[int, ...]
) -> jax.Array:
    """residues: uint32 [term, then the constant; limb]. Weights are no constants of the executable."""
    limbs = constants(moduli)
    *weights, constant = jnp.asarray(residues)[..., None]
    start = jnp.stack([constant, jnp.zeros_like(constant)])
    terms = list(zip(data, weights, strict=True))
    low = modular.multiply_and_sum(((x[..., :2, :, :], w) for x, w in terms), limbs, start)
    third = [(x[..., 2:, :, :], w) for x, w in terms if x.shape[-3] == 3]
    if not third:
        return low
    return jnp.concatenate([low, modular.multiply_and_sum(third, limbs)], -3)
