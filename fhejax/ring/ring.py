"""The two rings of the library, described by a degree and the order of their root of unity."""

import dataclasses

import numpy as np

SMALLEST_DEGREE, LARGEST_DEGREE = 16, 2**17


@dataclasses.dataclass(frozen=True)
class Ring:
    """The ring Z[X]/(X^N + 1), or the real subring of Z[X]/(X^2N + 1) fixed by X -> 1/X, of degree N.

    An element of the conjugate-invariant ring is a_0 + sum of a_i (X^i + X^-i) for 0 < i < N; its
    N coefficients are the a_i (Kim and Song, "Approximate homomorphic encryption over the
    conjugate-invariant ring", 2018). Both rings multiply pointwise at N odd powers of a root.
    """

    degree: int
    conjugate_invariant: bool = False

    @property
    def root_order(self) -> int:
        """The order of the root of unity that a prime must have: 2N, or 4N if conjugate-invariant."""
        return self.degree * (4 if self.conjugate_invariant else 2)

    @property
    def slots(self) -> int:
        """Numbers in a plaintext: N/2 complex ones, or N real ones if conjugate-invariant."""
        return self.degree if self.conjugate_invariant else self.degree // 2

    @property
    def expansion(self) -> int:
        """Ambient degree: the variance of an embedded value is this many times a coefficient's."""
        return self.root_order // 2

    def slot_exponents(self) -> np.ndarray:
        """The exponents, int64 [slots]: slot j holds the value at the root to the power 5**j."""
        powers = np.ones(self.slots, np.int64)
        for j in range(1, self.slots):
            powers[j] = powers[j - 1] * 5 % self.root_order
        return powers


def check_ring(ring: Ring) -> None:
    """Refuse a degree that is not a power of two from 16 to 2**17, and a kind that is not True or False."""
    if type(ring.degree) is not int or not _is_degree(ring.degree):
        raise ValueError(
            f"a ring of degree {ring.degree!r} was asked for; the degree must be a power of two from "
            f"{SMALLEST_DEGREE} to {LARGEST_DEGREE}, as a Python integer."
        )
    if type(ring.conjugate_invariant) is not bool:
        raise ValueError(
            f"a ring with conjugate_invariant={ring.conjugate_invariant!r} was asked for; it is True or "
            f"False."
        )


def _is_degree(degree: int) -> bool:
    return SMALLEST_DEGREE <= degree <= LARGEST_DEGREE and not degree & (degree - 1)
