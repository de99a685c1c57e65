"""The square root and its reciprocal by a polynomial seed and Newton's or Goldschmidt's iteration."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fhejax.approx.checks import check_array, check_count
from fhejax.approx.compositions.reciprocal import MOST_ITERATIONS, check_method
from fhejax.approx.errors.measurement import certified
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.certificate import Certificate, certificate_of
from fhejax.approx.remez.minimax import minimax


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["seed"],
    meta_fields=["iterations", "method", "inverse"],
    drop_fields=["certificate"],
)
@dataclass(frozen=True, eq=False)
class SquareRoot:
    """An approximation y of 1/sqrt(x), or of sqrt(x): a seed, then iterations at two levels each.

    Newton: y -> (3 y - (x y) y^2) / 2, which corrects the noise of earlier steps. Goldschmidt carries
    g near sqrt(x) and h near 1 / (2 sqrt(x)): r = 1/2 - g h, g -> g + g r, h -> h + h r, so that the
    square root costs no product at the end.

    Attributes:
        seed: a `Polynomial` near 1/sqrt(x).
        iterations: how many follow.
        method: "newton" or "goldschmidt".
        inverse: whether the value is 1/sqrt(x), and not sqrt(x) = x y.
        certificate: what the fit is worth, if this is the result of one.
    """

    seed: Any
    iterations: int
    method: str = "newton"
    inverse: bool = True
    certificate: Certificate | None = None

    def __call__(self, x: ArrayLike) -> jax.Array:
        """The value at every entry of x, in x's shape and dtype, as for `Polynomial`.

        Raises:
            TypeError: x is no array of real numbers.
        """
        return self.apply(check_array(x, "argument of a square root"), lambda stage, at: stage(at))

    def apply(self, x: Any, evaluate: Callable[[Any, Any], Any]) -> Any:
        """The value at x, where `evaluate(stage, at)` applies the seed to an array."""
        y = evaluate(self.seed, x)
        return self._goldschmidt(x, y) if self.method == "goldschmidt" else self._newton(x, y)

    def _newton(self, x: Any, y: Any) -> Any:
        for _ in range(self.iterations):
            y = 1.5 * y - 0.5 * ((x * y) * (y * y))
        return y if self.inverse else x * y

    def _goldschmidt(self, x: Any, y: Any) -> Any:
        root, half = x * y, 0.5 * y
        for _ in range(self.iterations):
            residual = 0.5 - root * half
            root, half = root + root * residual, half + half * residual
        return 2 * half if self.inverse else root

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the seed."""
        return self.seed.interval

    @property
    def degree(self) -> int:
        """The degree of the whole as a polynomial in x."""
        degree = self.seed.degree
        for _ in range(self.iterations):
            degree = 3 * degree + 1
        return degree if self.inverse else degree + 1

    @property
    def depth(self) -> int:
        """The multiplicative depth, without the map of the interval to [-1, 1]."""
        # Goldschmidt's first product x y precedes the iterations; Newton's last one follows them.
        product = (self.method == "goldschmidt" and self.iterations > 0) or not self.inverse
        return self.seed.depth + 2 * self.iterations + int(product)

    @property
    def multiplications(self) -> int:
        """The products of two ciphertexts that an evaluation needs."""
        return self.seed.multiplications + 3 * self.iterations + int(not self.inverse)


def rsqrt(interval: Interval, degree: int, iterations: int, *, method: str = "newton") -> SquareRoot:
    """The reciprocal square root 1/sqrt(x) on an interval of positive numbers.

    The seed is the minimax polynomial for the relative error, which each iteration maps to about 3/2
    of its square.

    Args:
        interval: a pair (a, b) with a > 0.
        degree: that of the seed, from 0 to 1,023.
        iterations: from 0 to 16.
        method: "newton" or "goldschmidt".

    Returns:
        A `SquareRoot` with a certificate.

    Raises:
        TypeError: as `minimax`.
        ValueError: as `minimax`; numbers that are not positive in the interval, a seed from which iterations
            do not converge, an unknown method.
    """
    return _square_root(interval, degree, iterations, method, inverse=True)


def sqrt(interval: Interval, degree: int, iterations: int, *, method: str = "newton") -> SquareRoot:
    """The square root of x on an interval of positive numbers, which is x times `rsqrt`.

    Args:
        interval: a pair (a, b) with a > 0.
        degree: that of the seed, from 0 to 1,023.
        iterations: from 0 to 16.
        method: "newton" or "goldschmidt".

    Returns:
        A `SquareRoot` with a certificate.

    Raises:
        TypeError: as `rsqrt`.
        ValueError: as `rsqrt`.
    """
    return _square_root(interval, degree, iterations, method, inverse=False)


def _square_root(interval: Interval, degree: int, iterations: int, method: str, inverse: bool) -> SquareRoot:
    interval = check_interval(interval)
    iterations = check_count(iterations, "number of iterations", MOST_ITERATIONS)
    check_method(method)
    if interval[0] <= 0:
        raise ValueError(
            f"the function 1/sqrt(x) needs positive x, but the interval {interval} begins at {interval[0]}; "
            "begin above 0."
        )
    seed = minimax(jax.lax.rsqrt, degree, interval, weight=jnp.sqrt)
    if iterations and certificate_of(seed).error >= 0.7:
        raise ValueError(
            f"a seed of degree {degree} for 1/sqrt(x) on {interval} has the relative error "
            f"{certificate_of(seed).error:.3g}, from which no iteration converges; raise the degree."
        )
    function = jax.lax.rsqrt if inverse else jnp.sqrt
    return certified(SquareRoot(seed, iterations, method, inverse), function)
