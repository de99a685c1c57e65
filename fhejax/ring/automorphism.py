"""The automorphisms X -> X^k of both rings: rotations and conjugation of slots."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.ring import Ring
from fhejax.ring.transform import evaluation_exponents
from fhejax.ring.wide import kernel, wide


def automorphism(x: jax.Array, ring: Ring, exponent: int) -> jax.Array:
    """The map X -> X^exponent on values in evaluation order, uint32 [..., limb, N]: a permutation.

    `exponent` is odd; 5**k rotates slots by k to the left.
    """
    return permute(x, permutation(ring, exponent % ring.root_order))


@kernel
def permute(x: jax.Array, positions: jax.Array) -> jax.Array:
    """The values x[..., positions] for the positions that `permutation` gives, compiled once for all."""
    return jnp.take(x, positions, axis=-1, mode="clip")


@functools.cache
def permutation(ring: Ring, exponent: int) -> jax.Array:
    """The positions that the values of the image of X -> X^exponent come from: int32 [N], default device."""
    with jax.ensure_compile_time_eval():
        return jnp.asarray(_permutation(ring, exponent % ring.root_order))


def _check_exponent(exponent: int) -> None:
    if exponent % 2 == 0:
        raise ValueError(f"X -> X^{exponent} is no automorphism; the exponent must be odd.")


def _permutation(ring: Ring, exponent: int) -> np.ndarray:
    """The position of psi^(e k) for each position of psi^e; e and -e agree if conjugate-invariant."""
    _check_exponent(exponent)
    exponents = evaluation_exponents(ring)
    position = np.full(ring.root_order, -1, np.int32)
    position[exponents] = np.arange(ring.degree, dtype=np.int32)
    if ring.conjugate_invariant:
        position[-exponents % ring.root_order] = np.arange(ring.degree, dtype=np.int32)
    return position[exponents * exponent % ring.root_order]


@functools.partial(kernel, static_argnames=("ring", "exponent", "moduli"))
@wide
def coefficient_automorphism(x: jax.Array, ring: Ring, exponent: int, moduli: tuple[int, ...]) -> jax.Array:
    """The map X -> X^exponent on coefficients, uint32 [..., limb, N]: a permutation with signs."""
    source, negative = _signed_permutation(ring, exponent % ring.root_order)
    moved = jnp.take(x, source, axis=-1)
    return jnp.where(negative, modular.negate(moved, modular.constants(moduli).value), moved)


@functools.cache
def _signed_permutation(ring: Ring, exponent: int) -> tuple[np.ndarray, np.ndarray]:
    """The arrays (source, negative), each [N]: X^i goes to plus or minus X^j in the ring's basis."""
    _check_exponent(exponent)
    degree, half = ring.degree, ring.root_order // 2
    power = np.arange(degree, dtype=np.int64) * exponent % ring.root_order
    negative = power >= half
    power = power % half
    if ring.conjugate_invariant:  # X^(2N - j) stands for -X^(-j), a mirror of X^j
        mirrored = power > degree
        power, negative = np.where(mirrored, half - power, power), negative ^ mirrored
    source = np.empty(degree, np.int32)
    flips = np.empty(degree, bool)
    source[power], flips[power] = np.arange(degree, dtype=np.int32), negative
    return source, flips
