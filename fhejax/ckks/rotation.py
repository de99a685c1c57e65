"""Rotations and conjugation of slots, one by one, hoisted, and summed.

A rotation key leads from s to s(X^(1/e)); the automorphism X -> X^e, applied last, brings the result back
under s. So rotations of one ciphertext share its decomposition, which is most of their cost (Halevi and
Shoup, "Faster homomorphic linear transformations in HElib", 2018, section 5).
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fhejax.ckks.arithmetic import add, subtract
from fhejax.ckks.keys import switching
from fhejax.ckks.keys.generation import conjugation_exponent, rotation_exponent
from fhejax.ckks.keys.matching import identity_under
from fhejax.ckks.keys.powers_of_two import signed_powers_of_two
from fhejax.ckks.keys.recorder import note_key
from fhejax.ckks.keys.switching import Decomposition
from fhejax.ckks.levels import check_evaluation_domain
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate, predicted_by
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    SwitchingKey,
    check_same_parameters,
)
from fhejax.ring import Twiddles, modular, permutation, permute
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.primes import root_of_unity
from fhejax.ring.transform import evaluation_exponents
from fhejax.ring.wide import kernel, wide


def rotate(keys: EvaluationKeys, ciphertext: Ciphertext, steps: int) -> Ciphertext:
    """Slot j takes the value of slot j + steps, cyclically. Level and scale stay.

    Where there is no key for this distance, it is composed of distances that are powers of two (a
    key switch each), if their keys are there.

    Args:
        keys: with the rotation key, of the ciphertext's level or a higher one.
        ciphertext: data [..., 2, limb, N].
        steps: to the left if positive.

    Raises:
        ValueError: no such keys, other parameters, or three components.
    """
    for step in rotation_path(keys, ciphertext, steps):
        ciphertext = _apply(keys, ciphertext, rotation_exponent(ciphertext.params, step))
    return ciphertext


def conjugate(keys: EvaluationKeys, ciphertext: Ciphertext) -> Ciphertext:
    """The complex conjugate of every slot. Level and scale stay.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring, whose slots are real.
    """
    return _apply(keys, ciphertext, conjugation_exponent(ciphertext.params))


def rotate_hoisted(keys: EvaluationKeys, ciphertext: Ciphertext, steps: Sequence[int]) -> list[Ciphertext]:
    """The ciphertext rotated by each of several distances, decomposed once.

    Raises:
        ValueError: a distance without a key of its own, other parameters, or three components.
    """
    params = ciphertext.params
    exponents = [rotation_exponent(params, step) for step in steps]
    if isinstance(ciphertext, NoiseEstimate):
        for exponent in exponents:
            note_key(keys, exponent, ciphertext.level)
        return estimates.rotate_hoisted(ciphertext, exponents)
    found = {e: rotation_key(keys, ciphertext, e) for e in exponents if e != 1}
    if not found:
        return [ciphertext for _ in exponents]
    ciphertext = ciphertext.replace(key_id=identity_under(keys, ciphertext, found))
    digits = decomposition(ciphertext)
    return [
        ciphertext if e == 1 else _rotated(found[e], ciphertext, digits, permutation(params.ring, e))
        for e in exponents
    ]


def inner_sum(
    keys: EvaluationKeys, ciphertext: Ciphertext, count: int | None = None, stride: int = 1
) -> Ciphertext:
    """Slot j becomes the sum of slots j, j + stride, ..., j + (count - 1) stride, cyclically.

    By log2(count) rotations and additions. Noise adds up coherently: its variance grows by count.

    Args:
        keys: with rotations by stride times 1, 2, 4, ... below count.
        ciphertext: data [..., 2, limb, N].
        count: a power of two, by default all slots, which leaves the total in every slot.
        stride: the distance between summed slots.

    Raises:
        ValueError: a count that is no power of two or does not fit, a stride below 1, or a missing key.
    """
    slots = ciphertext.params.slots
    if stride < 1:
        raise ValueError(f"a sum of slots at distance {stride} was asked for; the stride must be 1 or more.")
    count = slots // stride if count is None else count
    if count < 1 or count & count - 1 or count * stride > slots:
        raise ValueError(
            f"a sum of {count} slots at distance {stride} was asked for; the count must be a power of two, "
            f"and at most {slots} slots lie in a ciphertext. Pad with zeros to a power of two."
        )
    step = stride
    while step < count * stride:
        ciphertext = add(ciphertext, rotate(keys, ciphertext, step))
        step *= 2
    return ciphertext


def multiply_by_imaginary_unit(ciphertext: Ciphertext) -> Ciphertext:
    """i times every slot: a multiplication by X^(N/2), exact, at no level and without noise.

    Raises:
        ValueError: in the conjugate-invariant ring, whose slots are real.
    """
    conjugation_exponent(ciphertext.params)
    check_evaluation_domain("a product with i", ciphertext)
    return _multiply_by_imaginary_unit(ciphertext)


@predicted_by(estimates.multiply_by_imaginary_unit)
@kernel
@wide
def _multiply_by_imaginary_unit(ciphertext: Ciphertext) -> Ciphertext:
    ring, moduli = ciphertext.params.ring, ciphertext.moduli
    quarter = [pow(root_of_unity(q, ring.root_order), ring.degree // 2, q) for q in moduli]
    value = jnp.array(quarter, jnp.uint32)[:, None]
    quotient = jnp.array([modular.quotient(u, q) for u, q in zip(quarter, moduli, strict=True)], jnp.uint32)
    modulus = constants(moduli).value
    product = modular.multiply_constant(ciphertext.data, value, quotient[:, None], modulus)
    negative = evaluation_exponents(ring) % 4 == 3  # (psi^e)^(N/2) = i^e
    return ciphertext.replace(data=jnp.where(negative, modular.negate(product, modulus), product))


def real_part(keys: EvaluationKeys, ciphertext: Ciphertext) -> Ciphertext:
    """The real part of every slot, (x + conjugate of x) / 2: the halving doubles the scale.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring.
    """
    total = add(ciphertext, conjugate(keys, ciphertext))
    return total.replace(scale=total.scale * 2)


def imaginary_part(keys: EvaluationKeys, ciphertext: Ciphertext) -> Ciphertext:
    """The imaginary part of every slot, i (conjugate of x - x) / 2: the halving doubles the scale.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring.
    """
    difference = subtract(conjugate(keys, ciphertext), ciphertext)
    return multiply_by_imaginary_unit(difference).replace(scale=ciphertext.scale * 2)


def rotation_path(keys: EvaluationKeys | None, ciphertext: Ciphertext, steps: int) -> list[int]:
    """The rotations by which `keys` reach a distance: itself, or powers of two, or an error.

    Raises:
        ValueError: when neither has its keys.
    """
    params = ciphertext.params
    steps %= params.slots
    if keys is None or steps == 0 or rotation_exponent(params, steps) in keys.rotations:
        return [steps] if steps else []
    powers = signed_powers_of_two(params, steps)
    if all(rotation_exponent(params, power) in keys.rotations for power in powers):
        return powers
    powers = [2**bit for bit in range(steps.bit_length()) if steps >> bit & 1]
    if all(rotation_exponent(params, power) in keys.rotations for power in powers):
        return powers
    rotation_key(keys, ciphertext, rotation_exponent(params, steps))
    raise AssertionError("rotation_key refuses what has no key")


def power_of_two_rotations(params: Parameters) -> tuple[int, ...]:
    """The 2 log2(slots) distances, forwards and backwards, of which every other is composed."""
    powers = [2**bit for bit in range(params.slots.bit_length() - 1)]
    return (*powers, *(-power for power in powers[:-1]))


def rotation_key(keys: EvaluationKeys, ciphertext: Ciphertext, exponent: int) -> SwitchingKey:
    """The key of an automorphism, checked against the ciphertext.

    Raises:
        ValueError: no such key or one of a lower level, other parameters or secrets, or a
            ciphertext with three components.
    """
    check_same_parameters(keys, ciphertext)
    check_evaluation_domain("a rotation", ciphertext)
    if ciphertext.components != 2:
        raise ValueError(
            f"a rotation of a ciphertext with {ciphertext.components} components was asked for; it needs 2. "
            f"Relinearise first."
        )
    key = keys.rotations.get(exponent)
    if key is None or key.level < ciphertext.level:
        name, call = _describe_rotation(ciphertext.params, exponent)
        have = "none" if key is None else f"one for level {key.level} and below"
        present = [_describe_rotation(ciphertext.params, e)[0] for e in keys.rotations]
        raise ValueError(
            f"{name} at level {ciphertext.level} needs its key, and these evaluation keys have {have} "
            f"(they have {', '.join(present) or 'no rotation keys'}); make them with "
            f"evaluation_keys(key, secret, {call}, level={ciphertext.level})."
        )
    return key


def _describe_rotation(params: Parameters, exponent: int) -> tuple[str, str]:
    if exponent == params.ring.root_order - 1:
        return "conjugation", "conjugate=True"
    steps, power = 0, 1
    while power != exponent:
        steps, power = steps + 1, power * 5 % params.ring.root_order
    return f"rotation by {steps}", f"rotations=({steps},)"


def _apply(keys: EvaluationKeys, ciphertext: Ciphertext, exponent: int) -> Ciphertext:
    """X -> X^exponent, and back under the same secret."""
    if isinstance(ciphertext, NoiseEstimate):
        note_key(keys, exponent, ciphertext.level)
        return estimates.apply_automorphism(ciphertext, exponent)
    key, params = rotation_key(keys, ciphertext, exponent), ciphertext.params
    key_id = identity_under(keys, ciphertext, {exponent: key})
    positions = permutation(params.ring, exponent)
    data = _rotate(key, ciphertext.data, positions, twiddles_of(params), ciphertext.level)
    return ciphertext.replace(data=data, key_id=key_id)


def decomposition(ciphertext: Ciphertext) -> Decomposition:
    """The digits of c_1, shared by all rotations of a ciphertext."""
    params = ciphertext.params
    return _decompose(ciphertext.data, twiddles_of(params), params, ciphertext.level)


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _decompose(data: jax.Array, twiddles: Twiddles, params: Parameters, level: int) -> Decomposition:
    return switching.decompose(data[..., 1, :, :], twiddles, params, level)


def _rotated(
    key: SwitchingKey, ciphertext: Ciphertext, digits: Decomposition, positions: jax.Array
) -> Ciphertext:
    twiddles = twiddles_of(ciphertext.params)
    return ciphertext.replace(data=_rotate_decomposed(key, ciphertext.data, digits, positions, twiddles))


@functools.partial(kernel, static_argnames="level")
@wide
def _rotate(
    key: SwitchingKey, data: jax.Array, positions: jax.Array, twiddles: Twiddles, level: int
) -> jax.Array:
    """One rotation in one kernel: what its parts share is neither returned nor waited for."""
    digits = switching.decompose(data[..., 1, :, :], twiddles, key.params, level)
    return _rotate_decomposed(key, data, digits, positions, twiddles)


@kernel
@wide
def _rotate_decomposed(
    key: SwitchingKey, data: jax.Array, digits: Decomposition, positions: jax.Array, twiddles: Twiddles
) -> jax.Array:
    """The automorphism of (c_0 + k_0 / P, k_1 / P), k the decomposed c_1 times the key."""
    params, level = digits.params, digits.level
    switched = materialise(switching.inner_product(digits, key))
    divided = switching.divide_by_special(switched, params, level, level, twiddles)
    modulus = constants(params.level_moduli(level)).value
    total = modular.add(divided[..., 0, :, :], data[..., 0, :, :], modulus)
    return permute(materialise(jnp.stack([total, divided[..., 1, :, :]], -3)), positions)
