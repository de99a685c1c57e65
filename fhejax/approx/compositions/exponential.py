"""The exponential as a power of a polynomial near exp(x / 2^k)."""

import functools

import jax
import jax.numpy as jnp

from fhejax.approx.checks import check_count
from fhejax.approx.errors.measurement import certified
from fhejax.approx.intervals import Interval, check_interval
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.remez.minimax import minimax

MOST_SQUARINGS = 32


def exponential(interval: Interval, degree: int, squarings: int) -> Composite:
    """The exponential on an interval by one polynomial and repeated squaring.

    p approximates exp(x / 2^k); p^(2^k) has 2^k times its relative error. The weight of the fit is the
    derivative of that power, exp(x (1 - 2^-k)), so that the error of the whole is levelled, not that
    of p.

    Args:
        interval: a pair (a, b).
        degree: that of p, from 0 to 1,023.
        squarings: the number k, from 0 to 32; one level each.

    Returns:
        A `Composite` with a certificate.

    Raises:
        TypeError: as `minimax`.
        ValueError: as `minimax`; a number of squarings outside of its range.
    """
    interval = check_interval(interval)
    power = 2.0 ** check_count(squarings, "number of squarings", MOST_SQUARINGS)
    root = functools.partial(_exp_of_multiple, factor=1 / power)
    weight = functools.partial(_exp_of_multiple, factor=1 - 1 / power)
    seed = minimax(root, degree, interval, weight=weight)
    return certified(Composite((seed,), squarings=squarings), jnp.exp)


def _exp_of_multiple(x: jax.Array, factor: float) -> jax.Array:
    return jnp.exp(factor * x)
