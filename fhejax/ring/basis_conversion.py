"""Moving residues from one set of primes to another, and division by some of the primes."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.ntt import inverse_ntt, ntt
from fhejax.ring.ring import Ring
from fhejax.ring.wide import wide

_SUM_LENGTH = 16  # products of two residues below 2**30 that an unsigned 64-bit sum holds


@functools.partial(jax.jit, static_argnames=("source", "target"))
@wide
def convert_basis(x: jax.Array, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
    """The centred representative of x modulo prod(source), reduced modulo each target prime.

    Args:
        x: coefficients, uint32 [..., source limb, N], below their primes.

    Returns:
        uint32 [..., target limb, N]. With Q = prod(source) and y_i = x_i (Q/q_i)^-1 mod q_i, the
        value is sum of y_i Q/q_i - e Q where e rounds sum of y_i / q_i (Halevi, Polyakov and Shoup
        2019, section 2.2): exact unless x lies within 2^-45 Q of Q/2, and off by one Q there.
    """
    scaled = _multiply_limbs(x, source, _punctured_inverses(source))
    share = scaled.astype(jnp.float64) * (1.0 / np.array(source, np.float64)[:, None])
    overflow = jnp.round(share.sum(-2, keepdims=True)).astype(jnp.uint64)
    total = jnp.zeros((*x.shape[:-2], len(target), x.shape[-1]), jnp.uint64)
    moduli = constants(target)
    for i, weights in enumerate(_punctured(source, target)):
        if i and i % (_SUM_LENGTH - 1) == 0:
            total = modular.reduce_wide(total, moduli).astype(jnp.uint64)
        total = total + scaled[..., i : i + 1, :].astype(jnp.uint64) * weights
    excess = modular.reduce_wide(overflow * _negated_product(source, target), moduli)
    return modular.add(modular.reduce_wide(total, moduli), excess, moduli.value)


def _punctured_inverses(source: tuple[int, ...]) -> list[int]:
    """(Q/q_i)^-1 mod q_i for each source prime."""
    product = math.prod(source)
    return [pow(product // q, -1, q) for q in source]


def _punctured(source: tuple[int, ...], target: tuple[int, ...]) -> np.ndarray:
    """Q/q_i mod p_j, uint64 [source limb, target limb, 1]."""
    product = math.prod(source)
    rows = [[product // q % p for p in target] for q in source]
    return np.array(rows, np.uint64)[:, :, None]


def _negated_product(source: tuple[int, ...], target: tuple[int, ...]) -> np.ndarray:
    """-Q mod p_j, uint64 [target limb, 1]."""
    product = math.prod(source)
    return np.array([-product % p for p in target], np.uint64)[:, None]


def _multiply_limbs(x: jax.Array, moduli: tuple[int, ...], factors: list[int]) -> jax.Array:
    """x times one constant a limb."""
    value = np.array(factors, np.uint32)[:, None]
    quotients = [modular.quotient(f, q) for f, q in zip(factors, moduli, strict=True)]
    return modular.multiply_constant(
        x, value, np.array(quotients, np.uint32)[:, None], constants(moduli).value
    )


@functools.partial(jax.jit, static_argnames=("moduli", "factors"))
@wide
def multiply_integers(x: jax.Array, moduli: tuple[int, ...], factors: tuple[int, ...]) -> jax.Array:
    """x times one integer a limb, given as residues; uint32 [..., limb, N], either domain."""
    return _multiply_limbs(x, moduli, list(factors))


@functools.partial(jax.jit, static_argnames=("ring", "kept", "dropped"))
@wide
def divide_by_moduli(x: jax.Array, ring: Ring, kept: tuple[int, ...], dropped: tuple[int, ...]) -> jax.Array:
    """Divide by D = prod(dropped) and round: rescaling, and the ModDown of key switching.

    Args:
        x: values in evaluation order, uint32 [..., kept + dropped limb, N], the dropped limbs last.

    Returns:
        uint32 [..., kept limb, N]: (x - [x]_D) / D with [x]_D centred, so that the rounding error is
        uniform in [-1/2, 1/2] for each coefficient (variance 1/12).
    """
    split = len(kept)
    tail = inverse_ntt(x[..., split:, :], ring, dropped)
    remainder = ntt(convert_basis(tail, dropped, kept), ring, kept)
    divisor = math.prod(dropped)
    difference = modular.subtract(x[..., :split, :], remainder, constants(kept).value)
    return _multiply_limbs(difference, kept, [pow(divisor, -1, q) for q in kept])
