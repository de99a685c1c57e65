"""The canonical embedding: numbers in slots to the coefficients of a polynomial and back, in float64.

Slot j is the value at zeta^(5^j), zeta a primitive root of the ring's order. With M half that order,
an element has ambient coefficients f_0 .. f_(M-1), and its values at zeta^(2t+1) are M times the inverse
discrete Fourier transform of f_i zeta^i (Cheon, Kim, Kim and Song 2017). In the conjugate-invariant
ring f_(2N-i) = -f_i and f_N = 0, and all values are real.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import Ring
from fhejax.ring.wide import kernel, wide


@functools.cache
def _slot_positions(ring: Ring) -> tuple[np.ndarray, np.ndarray]:
    """The slot that holds each odd power 2t+1 or its conjugate, and whether it is conjugated."""
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


def slots_to_coefficients(values: jax.Array, ring: Ring) -> jax.Array:
    """float64 [..., N]: f_i = zeta^-i / M times the transform of the values at all odd powers."""
    source, conjugated = _slot_positions(ring)
    spread = jnp.take(values.astype(jnp.complex128), source, axis=-1)
    spread = jnp.where(conjugated, jnp.conj(spread), spread)
    half = ring.root_order // 2
    transformed = _fft(spread)[..., : ring.degree]
    return (transformed * (_root_powers(ring, -1)[: ring.degree] / half)).real


def coefficients_to_slots(coefficients: jax.Array, ring: Ring) -> jax.Array:
    """The values in slots, float64 [..., N] if conjugate-invariant, else complex128 [..., N/2]."""
    half = ring.root_order // 2
    if ring.conjugate_invariant:
        mirrored = -jnp.flip(coefficients[..., 1:], -1)
        zero = jnp.zeros_like(coefficients[..., :1])
        coefficients = jnp.concatenate([coefficients, zero, mirrored], -1)
    values = _ifft(coefficients.astype(jnp.complex128) * _root_powers(ring, 1)) * half
    slots = jnp.take(values, (ring.slot_exponents() // 2).astype(np.int32), axis=-1)
    return slots.real if ring.conjugate_invariant else slots


@functools.partial(kernel, static_argnames="ring")
@wide
def largest_coefficients(values: jax.Array, ring: Ring) -> jax.Array:
    """The magnitude of the largest coefficient of each vector: [..., slots] to float64 [...], unrounded."""
    return jnp.max(jnp.abs(slots_to_coefficients(values, ring)), -1)
