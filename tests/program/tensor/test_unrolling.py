"""Loops of fixed length in a function: their turns are traced one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from traced_functions import check_clear, constant, encrypted

import fhejax as fhe

RATES = np.array([0.5, -0.25, 0.125], np.float32)


def powers(x):
    return lax.scan(lambda y, _: (y * x, y + x), x, None, length=3)


def weighted(x):
    return lax.scan(lambda y, rate: (y * y - rate * x, rate * y), x, jnp.asarray(RATES))


def backwards(x):
    return lax.scan(lambda y, rate: (y * x + rate, (rate, y)), x, jnp.asarray(RATES), reverse=True)


def entries(x):
    """The loop runs over an axis of the encrypted array itself."""
    return lax.scan(lambda total, column: (total + column * column, total), x[:, 0], x.T)


def counted(x):
    x = jnp.asarray(x)
    return lax.fori_loop(1, 4, lambda i, y: y * jnp.float32(i) - x[:, i % 3], x[:, 0])


def nested(x):
    def outer(y, rate):
        return lax.fori_loop(0, 2, lambda _, z: z * rate + x, y), y.sum(1)

    return lax.scan(outer, x, jnp.asarray(RATES))


def mixed(x):
    """What goes round is plain in part, and the results of a turn are plain or encrypted."""

    def turn(carry, _):
        y, rate = carry
        return (y * rate + x, rate * 0.5), (rate, y, y - y)

    return lax.scan(turn, (jnp.zeros_like(x), jnp.float32(1)), None, length=3)


def never(x):
    return lax.scan(lambda y, _: (y * y, y), x, None, length=0)


LOOPS = [powers, weighted, backwards, entries, counted, nested, mixed, never]


@pytest.mark.parametrize("function", LOOPS)
def test_turns_are_traced_one_after_the_other(function):
    check_clear(function, encrypted((4, 3)))


def test_the_gradient_of_a_loop():
    def loss(x):
        return jnp.sum(lax.fori_loop(0, 3, lambda _, y: y * x + constant(3)[None], x))

    check_clear(jax.jit(jax.grad(loss)), encrypted((4, 3)))


def test_what_is_refused_in_a_loop_is_told_once_with_its_line():
    with pytest.raises(fhe.NotPolynomialError, match=r"one operation .*\n  test_unrolling.py:\d+: exp: "):
        fhe.compile(
            lambda x: lax.scan(lambda y, _: (jnp.exp(y), None), x, None, length=5), fhe.Encrypted((4, 3))
        )
