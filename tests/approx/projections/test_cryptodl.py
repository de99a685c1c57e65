"""CryptoDL's fits: their measure, their derivative, and how they compare."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import (
    antiderivative,
    derivative_error,
    least_squares,
    modified_chebyshev,
    modified_measure,
)


def test_measure():
    assert float(modified_measure(jnp.array(0.0))) == 0
    assert float(modified_measure(jnp.array(2.0))) == pytest.approx(np.exp(-1 / 4.00001))


@pytest.mark.parametrize("function", ["relu", "sigmoid", "tanh"])
def test_modified_measure_weighs_the_square(function):
    p, plain = modified_chebyshev(function, 4, (-4, 4)), least_squares(function, 4, (-4, 4))
    x = np.linspace(-4, 4, 4001)
    density = np.exp(-1 / (1e-5 + x**2))
    exact = {"relu": np.maximum(x, 0), "sigmoid": 1 / (1 + np.exp(-x)), "tanh": np.tanh(x)}[function]
    squares = [
        np.sum(density * (np.polynomial.Chebyshev(q.coefficients, (-4, 4))(x) - exact) ** 2)
        for q in (p, plain)
    ]
    assert squares[0] < squares[1]


@pytest.mark.parametrize("weight", [None, modified_measure])
def test_the_derivative_is_the_one_fitted(weight):
    p = antiderivative("softplus", 5, (-3, 5), weight=weight)
    slope = least_squares("sigmoid", 4, (-3, 5), weight=weight)
    assert np.allclose(p.derivative().coefficients, slope.coefficients, atol=1e-10)
    x = np.linspace(-3, 5, 8001)
    density = np.ones_like(x) if weight is None else np.exp(-1 / (1e-5 + x**2))
    errors = np.polynomial.Chebyshev(p.coefficients, (-3, 5))(x) - np.log1p(np.exp(x))
    assert abs(np.sum(density * errors)) < 1e-3 * np.sum(density * np.abs(errors))


def test_slopes_of_tanh_are_better_than_those_of_the_values_fit():
    ours = antiderivative("tanh", 7, (-4, 4), weight=None)
    assert derivative_error(ours, "tanh") < derivative_error(least_squares("tanh", 7, (-4, 4)), "tanh")


def test_degree_zero_is_refused():
    with pytest.raises(ValueError, match="at least 1, but 0 was given"):
        antiderivative("relu", 0, (-1, 1))
