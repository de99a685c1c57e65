"""Chebyshev interpolation: published errors, nodes, and the functions known by name."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import FUNCTIONS, Polynomial, chebyshev, error


@pytest.mark.parametrize(
    "function, degree, bound, expected",
    [
        ("sigmoid", 5, 8, 6.19e-2),
        ("sigmoid", 13, 8, 2.96e-3),
        ("sigmoid", 27, 8, 1.385e-5),
        ("gelu", 13, 8, 8.16e-2),
        ("gelu", 27, 8, 5.60e-4),
        ("relu", 27, 1, 1.79e-2),
        ("tanh", 59, 8, 1.047e-5),
    ],
)
def test_maximum_errors(function, degree, bound, expected):
    p = chebyshev(function, degree, (-bound, bound))
    assert error(p, function) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("degree", [0, 1, 6, 31])
def test_interpolates_at_the_nodes_of_an_asymmetric_interval(degree):
    start, stop = -1.0, 6.5
    p = chebyshev(jnp.exp, degree, (start, stop))
    angles = (2 * np.arange(degree + 1) + 1) * np.pi / (2 * degree + 2)
    nodes = (start + stop) / 2 + (stop - start) / 2 * np.cos(angles)
    with jax.enable_x64(True):
        assert np.allclose(p(nodes), np.exp(nodes), rtol=1e-12, atol=1e-11)
    assert isinstance(p.coefficients, np.ndarray) and p.coefficients.dtype == np.float64


def test_polynomials_are_reproduced():
    p = chebyshev(lambda x: 1 - 2 * x + x**3, 5, (-3, 1))
    assert np.allclose(p.to_monomial(), [1, -2, 0, 1, 0, 0], atol=1e-12)


def test_parity_is_exact():
    for degree in (7, 63, 255):
        assert np.all(chebyshev("tanh", degree, (-8, 8)).coefficients[::2] == 0)
        assert np.all(chebyshev("abs", degree, (-8, 8)).coefficients[1::2] == 0)


SCALAR = {
    "abs": abs,
    "erf": math.erf,
    "exp": math.exp,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "log": math.log,
    "mish": lambda x: x * math.tanh(math.log1p(math.exp(x))),
    "reciprocal": lambda x: 1 / x,
    "relu": lambda x: max(x, 0.0),
    "rsqrt": lambda x: x**-0.5,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "sqrt": math.sqrt,
    "square": lambda x: x * x,
    "tanh": math.tanh,
}


@pytest.mark.parametrize("name", sorted(SCALAR))
def test_named_functions_are_double_precision(name):
    p = chebyshev(name, 40, (0.5, 2))
    x = np.linspace(0.5, 2, 9)
    with jax.enable_x64(True):
        value = np.asarray(p(x))
    assert np.allclose(value, [SCALAR[name](point) for point in x], rtol=1e-12)


def test_every_name_can_be_fitted():
    for name in FUNCTIONS:
        assert chebyshev(name, 3, (0.5, 2)).coefficients.shape == (4,)


@pytest.mark.parametrize("double", [False, True])
def test_precision_does_not_depend_on_the_users_settings(double):
    expected = chebyshev("sigmoid", 9, (-8, 8)).coefficients
    with jax.enable_x64(double):
        assert np.array_equal(chebyshev("sigmoid", 9, (-8, 8)).coefficients, expected)
        traced = []
        jax.jit(lambda: traced.append(chebyshev("sigmoid", 9, (-8, 8)).coefficients))()
    assert np.array_equal(traced[0], expected)


def test_error_of_a_family_has_one_entry_for_each_channel():
    stacked = np.stack([chebyshev("relu", 8, (-1, 3)).coefficients, np.eye(9)[1]])
    family = error(Polynomial.from_chebyshev(stacked, (-1, 3)), "relu")
    assert family.shape == (2,)
    assert family[0] == error(chebyshev("relu", 8, (-1, 3)), "relu")
    # The line t = (x - 1) / 2 is farthest from ReLU at x = 3, by 2.
    assert family[1] == pytest.approx(2.0, rel=1e-12)


def test_bad_functions_are_refused_in_sentences():
    with pytest.raises(ValueError, match="no function named 'sigmoyd'; did you mean 'sigmoid'"):
        chebyshev("sigmoyd", 3, (-1, 1))
    with pytest.raises(TypeError, match="a JAX function or a name, but 7 of type int"):
        chebyshev(7, 3, (-1, 1))
    with pytest.raises(ValueError, match="reciprocal is not finite at 0"):
        chebyshev("reciprocal", 2, (-1, 1))
    with pytest.raises(ValueError, match="log is not finite at -"):
        chebyshev("log", 3, (-1, 1))
    with pytest.raises(ValueError, match="returned shape"):
        chebyshev(lambda x: x[:2], 3, (-1, 1))
    with pytest.raises(TypeError, match="sin could not be applied"):
        chebyshev(math.sin, 3, (-1, 1))
    with pytest.raises(TypeError, match="does not depend on traced values"):
        jax.jit(lambda s: chebyshev(lambda x: x * s, 3, (-1, 1)))(1.0)
    with pytest.raises(TypeError, match="measured against a function on the host"):
        jax.jit(lambda p: error(p, "relu"))(chebyshev("relu", 3, (-1, 1)))


def test_constant_functions():
    assert np.array_equal(chebyshev(lambda x: 2.0, 2, (0, 1)).coefficients, [2.0, 0.0, 0.0])
    assert np.array_equal(chebyshev(lambda x: 0.0, 0, (0, 1)).coefficients, [0.0])
