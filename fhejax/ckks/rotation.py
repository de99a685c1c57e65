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
from fhejax.ckks.keys import shared_levels, switching
from fhejax.ckks.keys.generation import conjugation_exponent, rotation_exponent
from fhejax.ckks.keys.powers_of_two import signed_powers_of_two
from fhejax.ckks.keys.shared_levels import working_level
from fhejax.ckks.keys.switching import Decomposition
from fhejax.ckks.levels import check_evaluation_domain
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import Ciphertext, SwitchingKey
from fhejax.ring import Twiddles, modular, permutation, permute
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.primes import root_of_unity
from fhejax.ring.transform import evaluation_exponents
from fhejax.ring.wide import kernel, wide


def rotate(keys: Keys, ciphertext: Value, steps: int) -> Value:
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
        ciphertext = _moved(keys, ciphertext, rotation_exponent(ciphertext.params, step))
    return ciphertext


def conjugate(keys: Keys, ciphertext: Value) -> Value:
    """The complex conjugate of every slot. Level and scale stay.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring, whose slots are real.
    """
    return _moved(keys, ciphertext, conjugation_exponent(ciphertext.params))


def rotate_hoisted(keys: Keys, ciphertext: Value, steps: Sequence[int]) -> list[Value]:
    """The ciphertext rotated by each of several distances, decomposed once.

    Raises:
        ValueError: a distance without a key of its own, other parameters, or three components.
    """
    exponents = tuple(rotation_exponent(ciphertext.params, step) for step in steps)
    if all(exponent == 1 for exponent in exponents):
        return [ciphertext for _ in exponents]
    _check_rotated(ciphertext)
    return _hoisted(keys, ciphertext, exponents)


@operation(noise=estimates.rotate_hoisted, keys=lambda ciphertext, exponents: exponents)
def _hoisted(keys: Found, ciphertext: Ciphertext, exponents: Sequence[int]) -> list[Ciphertext]:
    ring, device = ciphertext.params.ring, current_device()
    wanted = tuple(dict.fromkeys(e for e in exponents if e != 1))
    if wanted and device.launches_slowly:
        positions = [permutation(ring, e) for e in wanted]
        tables, level = twiddles_of(ciphertext.params), ciphertext.level
        rotated = _rotate_by_all([keys[e] for e in wanted], ciphertext.data, positions, tables, level)
        found = dict(zip(wanted, rotated, strict=True))
        return [ciphertext if e == 1 else ciphertext.replace(data=found[e]) for e in exponents]
    shared = working_level(ciphertext.params, ciphertext.level, ciphertext.data, [keys[e] for e in wanted])
    if wanted and shared is not None:
        found = _rotated_at(shared, keys, ciphertext, wanted)
        return [ciphertext if e == 1 else found[e] for e in exponents]
    digits = decomposition(ciphertext)
    return [
        ciphertext if e == 1 else _rotated(keys[e], ciphertext, digits, permutation(ring, e))
        for e in exponents
    ]


def inner_sum(keys: Keys, ciphertext: Value, count: int | None = None, stride: int = 1) -> Value:
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


def multiply_by_imaginary_unit(ciphertext: Value) -> Value:
    """i times every slot: a multiplication by X^(N/2), exact, at no level and without noise.

    Raises:
        ValueError: in the conjugate-invariant ring, whose slots are real.
    """
    conjugation_exponent(ciphertext.params)
    check_evaluation_domain("a product with i", ciphertext)
    return _times_imaginary_unit(ciphertext)


@operation(noise=estimates.multiply_by_imaginary_unit)
@kernel
@wide
def _times_imaginary_unit(ciphertext: Ciphertext) -> Ciphertext:
    ring, moduli = ciphertext.params.ring, ciphertext.moduli
    quarter = [pow(root_of_unity(q, ring.root_order), ring.degree // 2, q) for q in moduli]
    value = jnp.array(quarter, jnp.uint32)[:, None]
    quotient = jnp.array([modular.quotient(u, q) for u, q in zip(quarter, moduli, strict=True)], jnp.uint32)
    modulus = constants(moduli).value
    product = modular.multiply_constant(ciphertext.data, value, quotient[:, None], modulus)
    negative = evaluation_exponents(ring) % 4 == 3  # (psi^e)^(N/2) = i^e
    return ciphertext.replace(data=jnp.where(negative, modular.negate(product, modulus), product))


def real_part(keys: Keys, ciphertext: Value) -> Value:
    """The real part of every slot, (x + conjugate of x) / 2: the halving doubles the scale.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring.
    """
    total = add(ciphertext, conjugate(keys, ciphertext))
    return total.replace(scale=total.scale * 2)


def imaginary_part(keys: Keys, ciphertext: Value) -> Value:
    """The imaginary part of every slot, i (conjugate of x - x) / 2: the halving doubles the scale.

    Raises:
        ValueError: no conjugation key, or the conjugate-invariant ring.
    """
    difference = subtract(conjugate(keys, ciphertext), ciphertext)
    return multiply_by_imaginary_unit(difference).replace(scale=ciphertext.scale * 2)


def rotation_path(keys: Keys, ciphertext: Ciphertext | NoiseEstimate, steps: int) -> list[int]:
    """The rotations by which `keys` reach a distance: powers of two where these have keys, else itself."""
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
    return [steps]


def power_of_two_rotations(params: Parameters) -> tuple[int, ...]:
    """The 2 log2(slots) distances, forwards and backwards, of which every other is composed."""
    powers = [2**bit for bit in range(params.slots.bit_length() - 1)]
    return (*powers, *(-power for power in powers[:-1]))


def _check_rotated(ciphertext: Ciphertext | NoiseEstimate) -> None:
    check_evaluation_domain("a rotation", ciphertext)
    if ciphertext.components != 2:
        raise ValueError(
            f"a rotation of a ciphertext with {ciphertext.components} components was asked for; it needs 2. "
            f"Relinearise first."
        )


def _moved(keys: Keys, ciphertext: Value, exponent: int) -> Value:
    """X -> X^exponent, and back under the same secret."""
    _check_rotated(ciphertext)
    return _switched(keys, ciphertext, exponent)


@operation(noise=estimates.apply_automorphism, keys=lambda ciphertext, exponent: (exponent,))
def _switched(keys: Found, ciphertext: Ciphertext, exponent: int) -> Ciphertext:
    params, level, key = ciphertext.params, ciphertext.level, keys[exponent]
    positions = permutation(params.ring, exponent)
    shared = working_level(params, level, ciphertext.data, [key])
    if shared is not None:
        return _rotated_at(shared, keys, ciphertext, [exponent])[exponent]
    return ciphertext.replace(data=_rotate(key, ciphertext.data, positions, twiddles_of(params), level))


def _rotated_at(
    shared: int, keys: Found, ciphertext: Ciphertext, exponents: Sequence[int]
) -> dict[int, Ciphertext]:
    """The automorphisms of a ciphertext, by kernels of a level that others share."""
    params, level = ciphertext.params, ciphertext.level
    raised = shared_levels.raised(ciphertext.data, params, shared)
    digits = shared_levels.decompose(raised[..., 1, :, :], params, level, shared)
    found = {}
    for exponent in exponents:
        total = shared_levels.switched(keys[exponent], digits, raised, 1)
        divided = shared_levels.divided(total, params, level, shared, level)
        found[exponent] = ciphertext.replace(data=permute(divided, permutation(params.ring, exponent)))
    return found


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


@functools.partial(kernel, static_argnames="level")
@wide
def _rotate_by_all(
    keys: Sequence[SwitchingKey],
    data: jax.Array,
    positions: Sequence[jax.Array],
    twiddles: Twiddles,
    level: int,
) -> list[jax.Array]:
    """Hoisted rotations in one executable, which share the digits."""
    digits = materialise(switching.decompose(data[..., 1, :, :], twiddles, keys[0].params, level))
    pairs = zip(keys, positions, strict=True)
    return [_rotate_decomposed(key, data, digits, places, twiddles) for key, places in pairs]


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
