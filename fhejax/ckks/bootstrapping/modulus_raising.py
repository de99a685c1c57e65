"""Raising the modulus: the same polynomials, modulo more primes.

c_0 + c_1 s = m modulo q_0 becomes m + q_0 I modulo Q, with I small where s is sparse: what bootstrapping
removes afterwards (Cheon, Han, Kim, Kim and Song, "Bootstrapping for approximate homomorphic encryption",
2018).
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.bootstrapping.overflow_distribution import sample_overflow
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.noise.propagation import Message, digest
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Ciphertext
from fhejax.ring import Ring, Twiddles, convert_basis, inverse_ntt, ntt, take_limbs
from fhejax.ring.wide import kernel, wide


def raise_modulus(ciphertext: Value, *, hamming_weight: int, level: int | None = None) -> Value:
    """A ciphertext at level 0, at a higher level, at the scale q_0: its slots hold those of phase / q_0.

    Args:
        ciphertext: data [..., 2, limb, N] at level 0, evaluation domain. A `NoiseEstimate` gets random
            overflows of the right distribution, always the same for the same estimate.
        hamming_weight: of the secret that it is under, for predictions.
        level: by default the highest.

    Returns:
        Ciphertext [..., 2, limb, N]: the centred representatives modulo q_0, modulo all primes of the level.

    Raises:
        ValueError: a ciphertext that is not at level 0, or primes of level 0 that the target does not have.
    """
    params, level = ciphertext.params, ciphertext.params.depth if level is None else level
    base, moduli = params.level_moduli(0), params.level_moduli(level)
    if ciphertext.level != 0 or not set(base) <= set(moduli):
        raise ValueError(
            f"the modulus of a ciphertext at level {ciphertext.level} was to be raised to level {level}; "
            "it is raised from level 0, to a level that has all primes of level 0. Use drop_level first."
        )
    return _raised(ciphertext, level, Scale.of(math.prod(base)), hamming_weight)


def _noise(x: NoiseEstimate, level: int, scale: Scale, hamming_weight: int) -> NoiseEstimate:
    raised = dataclasses.replace(x.replace(scale=scale), level=level)
    messages = tuple(_overflowed(message, x.params.ring, hamming_weight) for message in raised.messages)
    return dataclasses.replace(raised, messages=messages)


@operation(noise=_noise)
def _raised(ciphertext: Ciphertext, level: int, scale: Scale, hamming_weight: int) -> Ciphertext:
    del hamming_weight
    params = ciphertext.params
    data = _raise(ciphertext.data, twiddles_of(params), params, level)
    return ciphertext.replace(data=data, level=level, scale=scale)


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _raise(data: jax.Array, twiddles: Twiddles, params: Parameters, level: int) -> jax.Array:
    base, moduli = params.level_moduli(0), params.level_moduli(level)
    others = tuple(q for q in moduli if q not in base)
    if not others:
        return data
    coefficients = inverse_ntt(data, twiddles, base)
    values = ntt(convert_basis(coefficients, base, others), twiddles, others)
    return take_limbs(jnp.concatenate([data, values], -2), base + others, moduli)


def _overflowed(message: Message, ring: Ring, hamming_weight: int) -> Message:
    generator = np.random.default_rng(int.from_bytes(message.identity, "big"))
    overflow = sample_overflow(hamming_weight, ring.degree, generator)
    identity = digest("overflow", hamming_weight, message.identity)
    return Message(message.values + _slots(overflow, ring), identity, message.gains)


def _slots(coefficients: np.ndarray, ring: Ring) -> np.ndarray:
    """The values of a polynomial of the standard ring in the slots, complex128 [N/2]."""
    roots = np.exp(1j * np.pi * np.arange(ring.degree) / ring.degree)
    return (np.fft.ifft(coefficients * roots) * ring.degree)[ring.slot_exponents() // 2]
