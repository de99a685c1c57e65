"""The reciprocal by a polynomial seed and Goldschmidt's or Newton's iteration."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.checks import check_array, check_count, shown
from fhejax.approx.errors.measurement import certified
from fhejax.approx.intervals import check_intervals
from fhejax.approx.polynomials.certificate import Certificate, certificate_of
from fhejax.approx.remez.minimax import minimax

METHODS = ("goldschmidt", "newton")
MOST_ITERATIONS = 16


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["seed"],
    meta_fields=["iterations", "method"],
    drop_fields=["certificate"],
)
@dataclass(frozen=True, eq=False)
class Reciprocal:
    """An approximation y of 1/x: y = seed(x), then iterations that square the residual 1 - x y.

    Goldschmidt carries the residual along, r -> r^2, y -> y (1 + r), at one level each; Newton
    computes it anew, y -> y (2 - x y), at two levels, and corrects the noise of earlier steps.

    Attributes:
        seed: a `Polynomial` near 1/x.
        iterations: how many follow.
        method: "goldschmidt" or "newton".
        certificate: what the fit is worth, if this is the result of one.
    """

    seed: Any
    iterations: int
    method: str = "goldschmidt"
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike) -> jax.Array:
        """The value at every entry of x, in x's shape and dtype, as for `Polynomial`.

        Raises:
            TypeError: x is no array of real numbers.
        """
        return self.apply(check_array(x, "argument of a reciprocal"), lambda stage, at: stage(at))

    def apply(self, x: Any, evaluate: Callable[[Any, Any], Any]) -> Any:
        """The value at x, where `evaluate(stage, at)` applies the seed to an array."""
        y, residual = evaluate(self.seed, x), None
        for _ in range(self.iterations):
            carried = residual if self.method == "goldschmidt" else None
            residual = 1 - x * y if carried is None else carried * carried
            y = y + y * residual
        return y

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the seed."""
        return self.seed.interval

    @property
    def degree(self) -> int:
        """The degree of the whole as a polynomial in x."""
        return ((self.seed.degree + 1) << self.iterations) - 1

    @property
    def depth(self) -> int:
        """The multiplicative depth, without the map of the interval to [-1, 1]."""
        if self.iterations == 0:
            return self.seed.depth
        steps = 2 * self.iterations if self.method == "newton" else self.iterations + 1
        return self.seed.depth + steps

    @property
    def multiplications(self) -> int:
        """The products of two ciphertexts that an evaluation needs."""
        return self.seed.multiplications + 2 * self.iterations


def reciprocal(interval: Any, degree: int, iterations: int, *, method: str = "goldschmidt") -> Reciprocal:
    """The reciprocal 1/x on an interval, or several, without 0.

    The seed is the minimax polynomial for the residual 1 - x y, so that iterations, each of which
    squares it, make the relative error as small as it can be.

    Args:
        interval: a pair (a, b), or several disjoint ones, as on both sides of 0.
        degree: that of the seed, from 0 to 1,023.
        iterations: from 0 to 16.
        method: "goldschmidt" or "newton".

    Returns:
        A `Reciprocal` with a certificate.

    Raises:
        TypeError: as `minimax`.
        ValueError: as `minimax`; 0 in an interval, a seed from which iterations do not converge, an unknown
            method.
    """
    intervals = check_intervals(interval)
    iterations = check_count(iterations, "number of iterations", MOST_ITERATIONS)
    check_method(method)
    if any(start <= 0 <= stop for start, stop in intervals):
        raise ValueError(f"the function 1/x is not finite at 0, which lies in {interval}; leave out a gap.")
    seed = minimax(jnp.reciprocal, degree, intervals, weight=jnp.abs)
    if iterations and certificate_of(seed).error >= 1:
        raise ValueError(
            f"a seed of degree {degree} for 1/x on {interval} has the relative error "
            f"{certificate_of(seed).error:.3g}, from which no iteration converges; raise the degree."
        )
    return certified(Reciprocal(seed, iterations, method), jnp.reciprocal, intervals)


def check_method(method: str) -> None:
    """Refuse an unknown iteration.

    Raises:
        ValueError: neither "goldschmidt" nor "newton".
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(
            f"the iterations are {' and '.join(METHODS)}, but {shown(method)} was given; pass one of these."
        )
