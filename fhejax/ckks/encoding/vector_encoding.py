"""Numbers in slots to polynomials modulo the primes of a level, and back, on the device."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.canonical_embedding import coefficients_to_slots, slots_to_coefficients
from fhejax.ckks.encoding.encodable import check_encodable, encoding_place, padded, slot_values
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Domain, Plaintext
from fhejax.ring import Ring, Twiddles, inverse_ntt, ntt
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants, multiply, reduce_signed
from fhejax.ring.residues import residues_to_float
from fhejax.ring.wide import kernel, wide

_INTEGER_BITS = 62  # of a coefficient before it is shifted
_LARGEST_SCALE_BITS = 1000  # within float64


def encode(
    params: Parameters,
    values: jax.Array | np.ndarray,
    *,
    level: int | None = None,
    scale: Scale | float | None = None,
) -> Plaintext:
    """Encode numbers into slots, one plaintext for each leading index.

    Inside of jit or vmap nobody looks at values: whether they are finite, fit the modulus and do not all
    round to zero is for the caller to see to, with `is_encodable`.

    Args:
        params: of the ciphertexts it will meet.
        values: real or complex [..., at most `slots`], or nested lists; missing slots are zero.
        level: by default the highest.
        scale: by default the level's own.

    Returns:
        Plaintext [..., limb, N] in the evaluation domain. Rounding adds a variance of 1/12 to each
        coefficient; numbers are float64, so that coefficients of more than 53 bits have a relative error
        of 2**-53.

    Raises:
        TypeError: values that are no numbers, or masked.
        ValueError: too many values, no axis, complex values in a real ring and, when called eagerly, a value
            that is not finite, coefficients too large for the level's modulus at this scale, or values other
            than zero of which no coefficient is left after rounding.
    """
    level, scale = encoding_place(params, level, scale)
    values = slot_values(params, values, "encode")
    check_encodable(params, values, level, scale)
    return _encoded(params, values, level, scale)


def encode_term(params: Parameters, values: jax.Array | np.ndarray, level: int, scale: Scale) -> Plaintext:
    """`encode` of one of several terms of a sum: one that rounds to zero changes nothing that is right."""
    values = slot_values(params, values, "encode")
    check_encodable(params, values, level, scale, vanishing=True)
    return _encoded(params, values, level, scale)


def encode_for_all_levels(
    params: Parameters, values: jax.Array | np.ndarray, level: int, scale: Scale
) -> jax.Array:
    """What `encode_term` encodes, modulo every prime of Q and then of P: one kernel for all levels.

    A program has constants at each of its levels, and XLA would compile a kernel for each. The limbs of a
    level are those of `params.limb_range`.

    Args:
        params: of the ciphertexts it will meet.
        values: as `encode` takes them.
        level: at which the values have to fit.
        scale: at which they are encoded.

    Returns:
        uint32 [..., limb of Q and P, N] in the evaluation domain.

    Raises:
        TypeError, ValueError: as `encode`, but for values that round to zero.
    """
    values = slot_values(params, values, "encode")
    check_encodable(params, values, level, scale, vanishing=True)
    return _encode_for_all(
        padded(params, values), *significand_and_exponent(scale), twiddles_of(params), params
    )


def _encoded(params: Parameters, values: jax.Array | np.ndarray, level: int, scale: Scale) -> Plaintext:
    values = padded(params, values)
    data = _encode(values, *significand_and_exponent(scale), twiddles_of(params), params, level)
    return Plaintext(data, params, level, scale, "evaluation")


def significand_and_exponent(scale: Scale) -> tuple[jax.Array, np.int32]:
    """The pair (significand, exponent) of significand * 2**exponent = scale, as arguments of a kernel."""
    return _significand(scale), np.int32(scale.mantissa.bit_length() + scale.exponent)


@functools.lru_cache(maxsize=1024)
def _significand(scale: Scale) -> jax.Array:
    """The scale over the next power of two, float64 on the default device: made once, for that takes long."""
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return jnp.asarray(math.ldexp(scale.mantissa, -scale.mantissa.bit_length()))


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _encode(
    values: jax.Array,
    significand: jax.Array,
    exponent: np.int32,
    twiddles: Twiddles,
    params: Parameters,
    level: int,
) -> jax.Array:
    """Coefficients times significand * 2**exponent, rounded: the scale is no constant of the executable."""
    moduli = params.level_moduli(level)
    return encoded_residues(values, significand, exponent, twiddles, params.ring, moduli)


@functools.partial(kernel, static_argnames="params")
@wide
def _encode_for_all(
    values: jax.Array, significand: jax.Array, exponent: np.int32, twiddles: Twiddles, params: Parameters
) -> jax.Array:
    return encoded_residues(
        values, significand, exponent, twiddles, params.ring, params.moduli + params.special
    )


def encoded_residues(
    values: jax.Array,
    significand: jax.Array,
    exponent: np.int32,
    twiddles: Twiddles,
    ring: Ring,
    moduli: tuple[int, ...],
) -> jax.Array:
    """The residues uint32 [..., limb, N], in the evaluation domain, of numbers at a scale; in a wide kernel.

    Args:
        values: in all slots, float64 or complex128 [..., slots].
        significand: float64, of the scale significand * 2**exponent.
        exponent: of the scale.
        twiddles: of these primes and others.
        ring: degree and kind.
        moduli: the primes.
    """
    powers = _powers_of_two(moduli)
    coefficients = slots_to_coefficients(values, ring) * significand
    rounded, shift = _rounded(coefficients, exponent, powers.shape[-1] - 1)
    residues = reduce_signed(rounded[..., None, :], constants(moduli))
    return ntt(_shifted_left(residues, shift, powers, moduli), twiddles, moduli)


def _rounded(coefficients: jax.Array, exponent: np.int32, largest_shift: int) -> tuple[jax.Array, jax.Array]:
    """(int64 [..., N], shift int32 [..., 1]): coefficients * 2**exponent = integers * 2**shift, rounded.

    A vector is shifted by as much as its largest coefficient is beyond 62 bits, of which float64 knows 53.
    Both are held in memory before the residues are taken: computed again for each limb, the floating-point
    numbers may differ in the last bit between limbs, whose residues then belong to no integer.
    """
    _, bits = jnp.frexp(jnp.max(jnp.abs(coefficients), -1, keepdims=True))
    shift = jnp.clip(bits.astype(jnp.int32) + exponent - np.int32(_INTEGER_BITS), 0, largest_shift)
    power = jnp.ldexp(jnp.ones((), jnp.float64), exponent - shift)  # exact, and one for each vector
    integers = jnp.round(coefficients * power).astype(jnp.int64)
    return materialise((integers, shift))


@functools.cache
def _powers_of_two(moduli: tuple[int, ...]) -> np.ndarray:
    """2**shift modulo each prime, uint32 [limb, shift], for every shift of a coefficient that fits."""
    shifts = range(max(1, math.prod(moduli).bit_length() - _INTEGER_BITS + 1))
    return np.array([[pow(2, shift, q) for shift in shifts] for q in moduli], np.uint32)


def _shifted_left(
    residues: jax.Array, shift: jax.Array, powers: np.ndarray, moduli: tuple[int, ...]
) -> jax.Array:
    """residues [..., limb, N] * 2**shift, at no cost where every shift is 0."""
    if powers.shape[-1] == 1:
        return residues

    def multiplied(residues: jax.Array) -> jax.Array:
        factors = jnp.moveaxis(jnp.asarray(powers)[:, shift], 0, -2)
        return multiply(residues, factors, constants(moduli))

    return jax.lax.cond(jnp.any(shift > 0), multiplied, lambda unchanged: unchanged, residues)


def decode(plaintext: Plaintext) -> jax.Array:
    """The numbers in the slots: float64 [..., slots], or complex128 in the standard ring.

    Exact up to float64: residues are composed by mixed radix, so that a message much smaller than the
    modulus keeps all its bits.

    Raises:
        ValueError: a scale that float64 does not hold.
    """
    return decoded(
        plaintext.data,
        float_scale(plaintext.scale),
        twiddles_of(plaintext.params),
        plaintext.params,
        plaintext.level,
        plaintext.domain,
    )


@functools.lru_cache(maxsize=1024)
def float_scale(scale: Scale) -> jax.Array:
    """A scale in float64 on the default device, as an argument of `decoded`: made once, as `_significand`.

    Raises:
        ValueError: a scale that float64 does not hold.
    """
    if abs(scale.bits) > _LARGEST_SCALE_BITS:
        raise ValueError(
            f"a plaintext of scale {scale} was to be decoded, in float64, which holds scales up to "
            f"2**{_LARGEST_SCALE_BITS}; rescale its ciphertext first."
        )
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return jnp.asarray(float(scale))


@functools.partial(kernel, static_argnames=("params", "level", "domain"))
@wide
def decoded(
    data: jax.Array, scale: jax.Array, twiddles: Twiddles, params: Parameters, level: int, domain: Domain
) -> jax.Array:
    """What `decode` finds in residues [..., limb, N]: the scale is no constant of the executable."""
    moduli = params.level_moduli(level)
    if domain == "evaluation":
        data = inverse_ntt(data, twiddles, moduli)
    return coefficients_to_slots(residues_to_float(data, moduli) / scale, params.ring)
