"""Polynomials in X^t within a ring: what repeats itself in the slots, with N / t coefficients and values.

With psi the root of unity of the ring, psi^t is that of the ring of degree N / t, and f(X^t) has at psi^e the
value that f has at (psi^t)^e. In the tree of factors X^s - psi^e those of s >= t decide it, so that values
lie in runs; the evaluation order is the leaves as a matrix [A, B], transposed.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.ring import Ring
from fhejax.ring.transform.tree import evaluation_exponents, matrix_shape


@dataclasses.dataclass(frozen=True, eq=False)
class Embedding:
    """The places in a ring's evaluation order of the values of polynomials in X^t.

    Attributes:
        small: the ring of degree N / t that they are polynomials of.
        shape: (a, s, b, u), of the N values as an array that is constant along s and u.
        order: int32 [a * b], which value of the smaller ring each is.
    """

    small: Ring
    shape: tuple[int, int, int, int]
    order: np.ndarray

    def spread(self, values: jax.Array, order: jax.Array | np.ndarray) -> jax.Array:
        """The values [..., N / t] of the smaller ring as an array [..., a, 1, b, 1].

        Args:
            values: residues or other numbers.
            order: the embedding's own, as an argument of a kernel and so no constant of it.
        """
        rows, _, columns, _ = self.shape
        ordered = jnp.asarray(values).at[..., order].get(mode="promise_in_bounds")
        return ordered.reshape(*values.shape[:-1], rows, 1, columns, 1)

    def split(self, values: jax.Array) -> jax.Array:
        """All values [..., N] of the ring as an array [..., a, s, b, u]."""
        return values.reshape(*values.shape[:-1], *self.shape)


@functools.cache
def embedding(ring: Ring, degree: int) -> Embedding:
    """The embedding of the ring of a smaller degree, or of the same.

    Args:
        ring: the larger one.
        degree: a power of two from 16 to that of the ring.
    """
    small = Ring(degree, ring.conjugate_invariant)
    rows, columns = matrix_shape(ring)
    times = ring.degree // degree
    inner = min(times, columns)
    outer = times // inner
    shape = (columns // inner, inner, rows // outer, outer)
    exponents = evaluation_exponents(ring).reshape(shape)[:, 0, :, 0].reshape(-1)
    places = np.full(small.root_order, -1, np.int32)
    places[evaluation_exponents(small)] = np.arange(degree)
    if small.conjugate_invariant:  # fixed by X -> 1/X
        places[-evaluation_exponents(small) % small.root_order] = np.arange(degree)
    return Embedding(small, shape, places[exponents % small.root_order])
