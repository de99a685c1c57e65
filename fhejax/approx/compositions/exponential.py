"""exp(x) as a power of a polynomial near exp(x / 2^k)."""

import functools

import jax
import jax.numpy as jnp

from fhejax.approx.checks import check_count, check_interval
from fhejax.approx.errors.measurement import certified
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.remez.minimax import minimax

MOST_SQUARINGS = 32


def exponential(interval: tuple[float, float], degree: int, squarings: int) -> Composite:
    """exp(x) on an interval by one polynomial of this degree and repeated squaring.

    p approximates exp(x / 2^k); p^(2^k) has 2^k times its relative error. The weight of the fit is the
    derivative of that power, exp(x (1 - 2^-k)), so that the error of the whole is levelled, not that
    of p. Errors: as ``minimax``.
    """
    interval = check_interval(interval)
    power = 2.0 ** check_count(squarings, "number of squarings", MOST_SQUARINGS)
    root = functools.partial(_exp_of_multiple, factor=1 / power)
    weight = functools.partial(_exp_of_multiple, factor=1 - 1 / power)
    seed = minimax(root, degree, interval, weight=weight)
    return certified(Composite((seed,), squarings=squarings), jnp.exp)


def _exp_of_multiple(x: jax.Array, factor: float) -> jax.Array:
    return jnp.exp(factor * x)
