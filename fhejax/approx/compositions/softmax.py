"""Softmax without a maximum: exponentials normalised, then squared and normalised again."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.checks import check_axis, check_count, check_positive, check_real_array
from fhejax.approx.compositions.reciprocal import Reciprocal, reciprocal
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.certificate import Certificate, certificate_of
from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.minimax import minimax

SEED_DEGREES = (1, 3, 7, 15)
ITERATIONS = 7
LARGEST_EXPONENT_DEGREE = 31
LARGEST_SIZE = 1 << 20


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["exponential", "first", "normaliser"],
    meta_fields=["squarings", "size"],
    drop_fields=["certificate"],
)
@dataclass(frozen=True, eq=False)
class Softmax:
    """The softmax as exp(x / 2^k) divided by its sum, then k times squared and divided by its sum.

    Attributes:
        exponential: the `Polynomial` for exp(x / 2^k), up to a common factor.
        first: the `Reciprocal` of the first sum.
        normaliser: the `Reciprocal` of sums of squares of probabilities.
        squarings: the number k.
        size: the number of entries.
        certificate: the bound of the relative error, and the depth.
    """

    exponential: Polynomial
    first: Reciprocal
    normaliser: Reciprocal
    squarings: int
    size: int
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike, axis: int = -1) -> jax.Array:
        """The probabilities along an axis of `size` entries, in x's shape and dtype.

        Raises:
            TypeError: x is not real, or the axis no integer.
            ValueError: an axis that x has not, or of another size.
        """
        x = check_real_array(x, "argument of a softmax")
        check_axis(axis, x)
        if x.shape[axis] != self.size:
            raise ValueError(
                f"this softmax was fitted for {self.size} entries, but axis {axis} of an array of shape "
                f"{x.shape} holds {x.shape[axis]}; fit one for that size."
            )
        values = _normalised(self.exponential(x), self.first, axis)
        for _ in range(self.squarings):
            values = _normalised(values * values, self.normaliser, axis)
        return values

    @property
    def depth(self) -> int:
        """The multiplicative depth, without maps of intervals to [-1, 1]."""
        rounds = self.squarings * (self.normaliser.depth + 2)
        return self.exponential.depth + self.first.depth + 1 + rounds


def softmax(interval: Interval, size: int, *, error: float = 1e-3) -> Softmax:
    """The softmax exp(x_i) / sum_j exp(x_j) of numbers of an interval, each within a relative error.

    Squaring a probability vector and normalising it doubles the logits (Cho, Hanrot, Kim, Park and
    Stehle, CCS 2024): after division by 2^k the exponentials differ by a small factor, and the sum of
    squares of probabilities lies between 1 / size and 1, so that every inverse is on a short interval.
    A common factor never matters, so errors of all normalisations but the last cancel. The relative
    error is at most (1 + d) ((1 + e) / (1 - e))^(2^k) - 1, e that of the exponential and d that of an
    inverse; the smallest k, degrees and iterations that keep it below `error` are taken.

    Args:
        interval: a pair (a, b) that holds every number.
        size: how many there are, from 2 to 2^20.
        error: the largest relative one that is allowed, below 1.

    Returns:
        A `Softmax` with a certificate.

    Raises:
        TypeError: an interval, a size or an error that are no numbers of their kind.
        ValueError: a size or an error outside of its range, or no polynomial that is good enough.
    """
    start, stop = check_interval(interval)
    size, error = check_count(size, "size of a softmax", LARGEST_SIZE), check_positive(error, "error")
    if size < 2:
        raise ValueError(f"a softmax is over 2 entries or more, but {size} was given; pass their number.")
    if error >= 1:
        raise ValueError(f"the relative error of a softmax is below 1, but {error:g} was given; pass less.")
    squarings = max(0, math.ceil(math.log2((stop - start) / 2)))
    exponential = _exponential((start, stop), 2.0**-squarings, error / (4 * 2**squarings))
    allowed = error / 3
    spread = math.exp((stop - start) / 2 ** (squarings + 1)) * (1 + error)
    first = cheapest_reciprocal((size / spread, size * spread), allowed)
    # The vector sums to 1 up to the allowed error, and so its squares to 1 / size at least.
    normaliser = cheapest_reciprocal(((1 - allowed) ** 2 / size, (1 + allowed) ** 2), allowed)
    relative = certificate_of(exponential).error
    bound = (1 + allowed) * ((1 + relative) / (1 - relative)) ** 2**squarings - 1
    fitted = Softmax(exponential, first, normaliser, squarings, size)
    degree = exponential.degree * (first.degree + 1) * (2 * normaliser.degree + 2) ** squarings
    certificate = Certificate(bound, math.inf, math.inf, degree, fitted.depth, ((start, stop),))
    return Softmax(exponential, first, normaliser, squarings, size, certificate)


def cheapest_reciprocal(interval: Interval, error: float) -> Reciprocal:
    """The reciprocal to a relative error, by the least depth, and the fewest products at that depth.

    Raises:
        ValueError: no seed up to degree 15 with 7 iterations reaches the error.
    """
    found = []
    for degree in SEED_DEGREES:
        seed = certificate_of(minimax(jnp.reciprocal, degree, interval, weight=jnp.abs)).error
        if seed >= 1:
            continue
        needed = max(0, math.ceil(math.log2(math.log(error) / math.log(seed))))
        if needed <= ITERATIONS:
            found.append(Reciprocal(Polynomial(jnp.zeros(degree + 1), interval), needed))
    if not found:
        raise ValueError(
            f"no seed up to degree {SEED_DEGREES[-1]} with {ITERATIONS} iterations reaches the relative "
            f"error {error:.3g} of 1/x on {interval}; narrow the interval or allow a larger error."
        )
    best = min(found, key=lambda trial: (trial.depth, trial.multiplications))
    return reciprocal(interval, best.seed.degree, best.iterations)


def _exponential(interval: Interval, factor: float, error: float) -> Polynomial:
    """The polynomial of exp(factor (x - middle)) to a relative error, of a degree that fills its depth."""
    middle = sum(interval) / 2

    def function(x: Any) -> Any:
        return jnp.exp(factor * (x - middle))

    def weight(x: Any) -> Any:
        return jnp.exp(-factor * (x - middle))

    degree = 1
    while degree <= LARGEST_EXPONENT_DEGREE:
        fitted = minimax(function, degree, interval, weight=weight)
        if certificate_of(fitted).error <= error:
            return fitted
        degree = 2 * degree + 1
    raise ValueError(
        f"no polynomial up to degree {LARGEST_EXPONENT_DEGREE} is within {error:.3g} of the exponential "
        f"on {interval}; allow a larger error."
    )


def _normalised(values: jax.Array, inverse: Reciprocal, axis: int) -> jax.Array:
    return values * inverse(jnp.sum(values, axis=axis, keepdims=True))
