"""Numbers in slots to polynomials and back, on the device, in float64.

Slot j is the value at zeta^(5^j), zeta a primitive root of the ring's order. With M half that order,
an element has ambient coefficients f_0 .. f_(M-1), and its values at zeta^(2t+1) are M times the inverse
discrete Fourier transform of f_i zeta^i (Cheon, Kim, Kim and Song 2017). In the conjugate-invariant
ring f_(2N-i) = -f_i and f_N = 0, and all values are real.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.parameters import Parameters, twiddles_of
from fhejax.ckks.scale import Scale
from fhejax.ckks.types import Domain, Plaintext, is_concrete
from fhejax.ring import Ring, Twiddles, inverse_ntt, ntt
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants, multiply, reduce_signed
from fhejax.ring.residues import residues_to_float
from fhejax.ring.wide import wide

_LARGEST_COEFFICIENT_BITS = 62


def encode(
    params: Parameters,
    values: jax.Array | np.ndarray,
    *,
    level: int | None = None,
    scale: Scale | None = None,
) -> Plaintext:
    """Encode numbers into slots, one plaintext for each leading index.

    Args:
        params: of the ciphertexts it will meet.
        values: real or complex [..., at most `slots`]; missing slots are zero.
        level: by default the highest.
        scale: by default the level's own.

    Returns:
        Plaintext [..., limb, N] in the evaluation domain. Rounding adds a variance of 1/12 to each
        coefficient.

    Raises:
        ValueError: too many values, complex values in a real ring, a value that is not finite or,
            when called eagerly, values too large for the level's modulus at this scale.
    """
    level = params.depth if level is None else level
    moduli = params.level_moduli(level)
    scale = params.scales[level] if scale is None else scale
    with jax.enable_x64(True):  # NumPy's 64-bit numbers would be cut to 32 bits outside
        values = jnp.asarray(values)
    _check_values(params, values)
    _check_size(params, values, math.prod(moduli), scale)
    missing = params.slots - values.shape[-1]
    if missing:
        values = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)])
    data = _encode(values, _factor(scale), twiddles_of(params), params, level, _shift(scale))
    return Plaintext(data, params, level, scale, "evaluation")


def _check_values(params: Parameters, values: jax.Array) -> None:
    if values.ndim == 0 or values.shape[-1] > params.slots:
        raise ValueError(
            f"encode was given shape {values.shape}; the last axis may hold at most {params.slots} "
            f"values, the slots of these parameters."
        )
    if params.ring.conjugate_invariant and jnp.iscomplexobj(values):
        raise ValueError(
            "complex values were given to parameters of the conjugate-invariant ring, whose slots are "
            "real; pass the real part, or make parameters with real=False."
        )
    if is_concrete(values) and not bool(np.isfinite(np.asarray(values)).all()):
        raise ValueError("a NaN or infinite value was to be encoded; replace it before encoding.")


def _check_size(params: Parameters, values: jax.Array, modulus: int, scale: Scale) -> None:
    """Refuse, when called eagerly, values whose coefficients might not fit.

    No coefficient is larger than the mean magnitude of the slots.
    """
    if not is_concrete(values) or not values.size:
        return
    mean = float(np.abs(np.asarray(values)).sum(-1, dtype=np.float64).max() / params.slots)
    largest = min(modulus // 2, 2 ** (_LARGEST_COEFFICIENT_BITS + _shift(scale)))
    if mean * scale.fraction() >= largest:
        raise ValueError(
            f"values of mean magnitude {mean:.3g} were to be encoded at scale {scale} with a modulus "
            f"of 2**{math.log2(modulus):.1f}, which holds at most "
            f"{float(largest / scale.fraction()):.3g}; divide them first, or encode at a smaller scale "
            f"or a higher level."
        )


def _shift(scale: Scale) -> int:
    """Bits of the scale that are multiplied in after rounding to 64-bit integers."""
    return max(0, int(scale.bits) + 4 - _LARGEST_COEFFICIENT_BITS)


@functools.cache
def _factor(scale: Scale) -> jax.Array:
    """The rest of the scale, a float64 on the default device, made once: that takes long."""
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):
        return jnp.asarray(float(scale / 2.0 ** _shift(scale)))


@functools.partial(jax.jit, static_argnames=("params", "level", "shift"))
@wide
def _encode(
    values: jax.Array, factor: jax.Array, twiddles: Twiddles, params: Parameters, level: int, shift: int
) -> jax.Array:
    """Rounded coefficients times factor and 2**shift: the scale is no constant of the executable.

    They are held in memory before the residues are taken: computed again for each limb, the floating-point
    numbers may differ in the last bit between limbs, whose residues then belong to no integer.
    """
    moduli = params.level_moduli(level)
    scaled = jnp.round(_slots_to_coefficients(values, params.ring) * factor)
    rounded = materialise(scaled.astype(jnp.int64))
    residues = reduce_signed(rounded[..., None, :], constants(moduli))
    if shift:
        residues = _shift_left(residues, moduli, shift)
    return ntt(residues, twiddles, moduli)


def _shift_left(residues: jax.Array, moduli: tuple[int, ...], bits: int) -> jax.Array:
    """residues * 2**bits, for scales beyond what a 64-bit coefficient holds."""
    factor = np.array([pow(2, bits, q) for q in moduli], np.uint32)[:, None]
    return multiply(residues, jnp.asarray(factor), constants(moduli))


@functools.cache
def _slot_positions(ring: Ring) -> tuple[np.ndarray, np.ndarray]:
    """For each odd power 2t+1: the slot that holds it (or its conjugate), and whether conjugated."""
    half = ring.root_order // 2
    exponents = ring.slot_exponents()
    source, conjugated = np.empty(half, np.int32), np.zeros(half, bool)
    source[exponents // 2] = np.arange(ring.slots, dtype=np.int32)
    mirrored = (ring.root_order - exponents) // 2
    source[mirrored], conjugated[mirrored] = np.arange(ring.slots, dtype=np.int32), True
    return source, conjugated


def _batched_wide(transform: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """`transform` of the last axis, under vmap too.

    JAX batches a jitted function outside of the scope of `wide`, and would convert what a Fourier
    transform is given to complex64 there.
    """
    function = jax.custom_batching.custom_vmap(transform)

    @function.def_vmap
    def batch(_size: int, _batched: list[bool], x: jax.Array) -> tuple[jax.Array, bool]:
        with jax.enable_x64(True):
            return function(x), True

    return function


_fft = _batched_wide(lambda x: jnp.fft.fft(x))
_ifft = _batched_wide(lambda x: jnp.fft.ifft(x))


def _root_powers(ring: Ring, sign: int) -> np.ndarray:
    """zeta^(sign i) for 0 <= i < M, complex128."""
    half = ring.root_order // 2
    return np.exp(sign * 1j * np.pi * np.arange(half) / half)


def _slots_to_coefficients(values: jax.Array, ring: Ring) -> jax.Array:
    """float64 [..., N]: f_i = zeta^-i / M times the transform of the values at all odd powers."""
    source, conjugated = _slot_positions(ring)
    spread = jnp.take(values.astype(jnp.complex128), source, axis=-1)
    spread = jnp.where(conjugated, jnp.conj(spread), spread)
    half = ring.root_order // 2
    transformed = _fft(spread)[..., : ring.degree]
    return (transformed * (_root_powers(ring, -1)[: ring.degree] / half)).real


def _coefficients_to_slots(coefficients: jax.Array, ring: Ring) -> jax.Array:
    """The values in slots, float64 [..., N] if conjugate-invariant, else complex128 [..., N/2]."""
    half = ring.root_order // 2
    if ring.conjugate_invariant:
        mirrored = -jnp.flip(coefficients[..., 1:], -1)
        zero = jnp.zeros_like(coefficients[..., :1])
        coefficients = jnp.concatenate([coefficients, zero, mirrored], -1)
    values = _ifft(coefficients.astype(jnp.complex128) * _root_powers(ring, 1)) * half
    slots = jnp.take(values, (ring.slot_exponents() // 2).astype(np.int32), axis=-1)
    return slots.real if ring.conjugate_invariant else slots


def decode(plaintext: Plaintext) -> jax.Array:
    """The numbers in the slots: float64 [..., slots], or complex128 in the standard ring.

    Exact up to float64: residues are composed by mixed radix, so that a message much smaller than the
    modulus keeps all its bits.
    """
    with jax.enable_x64(True):
        scale = jnp.asarray(float(plaintext.scale))
    return _decode(
        plaintext.data,
        scale,
        twiddles_of(plaintext.params),
        plaintext.params,
        plaintext.level,
        plaintext.domain,
    )


@functools.partial(jax.jit, static_argnames=("params", "level", "domain"))
@wide
def _decode(
    data: jax.Array, scale: jax.Array, twiddles: Twiddles, params: Parameters, level: int, domain: Domain
) -> jax.Array:
    moduli = params.level_moduli(level)
    if domain == "evaluation":
        data = inverse_ntt(data, twiddles, moduli)
    return _coefficients_to_slots(residues_to_float(data, moduli) / scale, params.ring)
