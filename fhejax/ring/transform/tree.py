"""The common part of all methods of the number-theoretic transform: tree of factors, order and constants.

Standard ring: evaluation at the odd powers of a 2N-th root psi, that is, modulo X^N = psi^N = -1.
Conjugate-invariant ring: with psi of order 4N, an element f of Z[X]/(X^2N + 1) is fixed by X -> 1/X,
so its values modulo X^N = psi^N = i already determine it: b_j = a_j - i a_(N-j), then the same
steps. Both are one binary tree of factors X^t - psi^e; the tree of exponents e drives all tables.

Coefficients are the matrix [A, B], transformed along A, transposed, and along B, so that the innermost axis
is always long and contiguous. The evaluation order that results is never undone:
`evaluation_exponents` says which power each position holds.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import Array
from fhejax.ring.primes import root_of_unity
from fhejax.ring.ring import Ring


def matrix_shape(ring: Ring) -> tuple[int, int]:
    """The matrix [A, B] of coefficients, A * B = N."""
    bits = ring.degree.bit_length() - 1
    return 2 ** (bits // 2), 2 ** (bits - bits // 2)


def factor_exponents(ring: Ring) -> list[np.ndarray]:
    """Exponent e of each factor X^t - psi^e, for every depth of the tree."""
    tree = [np.array([ring.degree], np.int64)]
    while len(tree[-1]) < ring.degree:
        half = tree[-1] // 2
        tree.append(np.stack([half, half + ring.root_order // 2], 1).reshape(-1) % ring.root_order)
    return tree


@functools.cache
def evaluation_exponents(ring: Ring) -> np.ndarray:
    """The powers of psi, int64 [N], at which the positions of a transformed polynomial hold its values."""
    rows, columns = matrix_shape(ring)
    return np.ascontiguousarray(factor_exponents(ring)[-1].reshape(rows, columns).T).reshape(-1)


def powers(root: int, order: int, modulus: int) -> np.ndarray:
    """The powers root**k mod modulus, uint64 [order], by doubling."""
    powers = np.ones(1, np.uint64)
    while len(powers) < order:
        step = np.uint64(pow(root, len(powers), modulus))
        powers = np.concatenate([powers, powers * step % np.uint64(modulus)])
    return powers


def root_powers(ring: Ring, moduli: tuple[int, ...]) -> np.ndarray:
    """The powers of psi modulo each of `moduli`, uint64 [limb, order of psi]."""
    return np.stack([powers(root_of_unity(q, ring.root_order), ring.root_order, q) for q in moduli])


def with_quotients(values: np.ndarray, moduli: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair (values, Shoup quotients), uint32, for values [limb, ...] and moduli [limb]."""
    column = moduli.reshape(-1, *[1] * (values.ndim - 1))
    return values.astype(np.uint32), ((values << np.uint64(32)) // column).astype(np.uint32)


def inverse_scale(ring: Ring, modulus: int) -> np.ndarray:
    """The factor 1/N, or for the conjugate-invariant ring 1/N for a_0 and 1/(2N) for the rest: [N] or [1]."""
    if not ring.conjugate_invariant:
        return np.array([pow(ring.degree, -1, modulus)], np.uint64)
    scale = np.full(ring.degree, pow(2 * ring.degree, -1, modulus), np.uint64)
    scale[0] = pow(ring.degree, -1, modulus)
    return scale


def add_mirrored(x: jax.Array, unit: Array, quotient: Array, q: Array, sign: int) -> jax.Array:
    """The sum x_j + sign * i * x_(N-j) for j > 0, x_0 as it is; i = psi^N. x below q, result below 2q."""
    mirrored = modular.multiply_constant(jnp.flip(x[..., 1:], -1), unit, quotient, q)
    if sign < 0:
        mirrored = modular.negate(mirrored, q)
    return jnp.concatenate([x[..., :1], x[..., 1:] + mirrored], -1)
