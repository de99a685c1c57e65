"""Polynomial as data: constructors, conversions, pytree behaviour, training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhejax.approx import Polynomial, chebyshev, depth_of_degree


@settings(deadline=None, max_examples=30)
@given(
    start=st.floats(-5, 5),
    width=st.floats(0.5, 10),
    coefficients=st.lists(st.floats(-3, 3), min_size=1, max_size=8),
)
def test_monomials_round_trip_on_any_interval(start, width, coefficients):
    interval = (start, start + width)
    p = Polynomial.from_monomial(coefficients, interval)
    x = np.linspace(*interval, 11)
    expected = np.polynomial.polynomial.polyval(x, coefficients)
    scale = 1 + np.max(np.polynomial.polynomial.polyval(np.abs(x), np.abs(coefficients)))
    with jax.enable_x64(True):
        value = np.asarray(p(x))
    assert np.max(np.abs(value - expected)) < 1e-11 * scale
    back = np.polynomial.polynomial.polyval(x, p.to_monomial())
    assert np.max(np.abs(back - expected)) < 1e-8 * scale


def test_known_conversions():
    square = Polynomial.from_monomial([0, 0, 1], (-2, 2))
    assert np.array_equal(square.coefficients, [2.0, 0.0, 2.0])  # x^2 = 2 + 2 T_2(x / 2)
    assert np.array_equal(square.to_monomial(), [0.0, 0.0, 1.0])
    shifted = Polynomial.from_monomial([[0, 0, 1], [1, 1, 0]], (1, 3))  # x = 2 + t
    assert np.array_equal(shifted.coefficients, [[4.5, 4.0, 0.5], [3.0, 1.0, 0.0]])
    assert np.array_equal(shifted.to_monomial(), [[0, 0, 1], [1, 1, 0]])


@pytest.mark.parametrize("degree", [0, 1])
def test_lowest_degrees(degree):
    p = Polynomial.from_monomial([3.0, 2.0][: degree + 1], (-1, 4))
    assert p.degree == degree and p.depth == degree
    assert np.allclose(p(jnp.array([0.0, 1.0])), [3.0, 3.0 + 2.0 * degree])
    assert np.allclose(p.derivative().to_monomial(), [2.0 * degree])
    assert p.derivative().degree == 0
    assert np.isclose(jax.grad(p)(1.0), 2.0 * degree)


def test_derivative_keeps_the_kind_of_array():
    host = chebyshev("tanh", 9, (-3, 5))
    assert isinstance(host.derivative().coefficients, np.ndarray)
    device = Polynomial.from_chebyshev(jnp.asarray(host.coefficients), host.interval)
    assert isinstance(device.derivative().coefficients, jax.Array)
    exact = np.polynomial.Chebyshev(host.coefficients, domain=[-3, 5]).deriv().coef
    assert np.allclose(host.derivative().coefficients, exact, atol=1e-14)
    assert np.allclose(device.derivative().coefficients, exact, atol=1e-5)


def test_depth_is_that_of_the_degree():
    exact = {0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 7: 3, 8: 4, 15: 4, 16: 5, 27: 5, 31: 5, 59: 6, 63: 6}
    assert {degree: depth_of_degree(degree) for degree in exact} == exact
    assert depth_of_degree(2**60 - 1) == 60 and depth_of_degree(2**60) == 61


def test_pytree_has_one_leaf_and_a_static_interval():
    p = chebyshev("sigmoid", 3, (-8, 8))
    leaves, structure = jax.tree.flatten(p)
    assert len(leaves) == 1 and leaves[0] is p.coefficients
    assert jax.tree.unflatten(structure, [None]).interval == (-8.0, 8.0)
    doubled = jax.tree.map(lambda c: 2 * c, p)
    assert np.allclose(doubled(1.0), 2 * p(1.0), rtol=1e-6)


def test_training_the_coefficients_finds_the_polynomial():
    x = jnp.linspace(-2, 5, 200)
    target = Polynomial.from_monomial([1.0, -2.0, 0.5, 0.25], (-2, 5))
    start = Polynomial.from_chebyshev(np.zeros(4), (-2, 5))
    optimiser = optax.sgd(0.3, momentum=0.8)

    def step(state, _):
        p, memory = state
        value, slope = jax.value_and_grad(lambda q: jnp.mean((q(x) - target(x)) ** 2))(p)
        updates, memory = optimiser.update(slope, memory, p)
        return (optax.apply_updates(p, updates), memory), value

    start = jax.tree.map(jnp.asarray, start)
    (p, _), losses = jax.jit(lambda s: jax.lax.scan(step, s, None, 600))((start, optimiser.init(start)))
    assert losses[-1] < 1e-6 * losses[0]
    assert np.allclose(p.to_monomial(), [1.0, -2.0, 0.5, 0.25], atol=1e-2)


def test_gradient_of_host_coefficients():
    p = chebyshev("silu", 7, (-4, 4))
    slope = jax.grad(lambda q: q(1.0))(p)
    basis = np.polynomial.chebyshev.chebvander(np.array([0.25]), 7)[0]
    assert np.allclose(slope.coefficients, basis, atol=1e-6)


def test_repr_is_readable_everywhere():
    p = Polynomial.from_chebyshev([1.0, 0.5], (-1, 2))
    assert repr(p) == ("Polynomial(degree=1, interval=(-1, 2), chebyshev=[1, 0.5], dtype=float64)")
    assert "channels=(3,)" in repr(Polynomial.from_chebyshev(np.ones((3, 2)), (-1, 2)))
    assert "..." in repr(chebyshev("relu", 20, (-1, 1)))
    assert "None" in repr(jax.tree.map(lambda _: None, p))
    seen = []
    jax.jit(lambda q: seen.append(repr(q)))(p)
    assert seen == [f"Polynomial(degree=1, interval=(-1, 2), dtype={jnp.ones(1).dtype})"]


def test_traced_coefficients_are_accepted_where_they_can_be():
    @jax.jit
    def evaluate(c):
        return Polynomial.from_chebyshev(c, (-1, 1))(0.5)

    assert np.isclose(evaluate(jnp.array([1.0, 2.0])), 2.0)
    for convert in (
        lambda c: Polynomial.from_monomial(c, (-1, 1)).coefficients,
        lambda c: Polynomial.from_chebyshev(c, (-1, 1)).to_monomial(),
    ):
        with pytest.raises(TypeError, match="powers of x on the host, but they are traced"):
            jax.jit(convert)(jnp.ones(3))


@pytest.mark.parametrize(
    "coefficients, error, words",
    [
        ([], ValueError, "needs coefficients"),
        (1.0, ValueError, "needs coefficients"),
        (np.zeros((3, 0)), ValueError, "needs coefficients"),
        ([1.0, np.nan], ValueError, "NaN or infinite"),
        (jnp.array([1.0, jnp.inf]), ValueError, "NaN or infinite"),
        ([1j], TypeError, "array of real numbers"),
        (["one"], TypeError, "array of real numbers"),
        ([[1.0], [1.0, 2.0]], TypeError, "array of real numbers"),
        (jnp.array([1, 2]), TypeError, "real floating coefficients"),
    ],
)
def test_bad_coefficients_are_refused(coefficients, error, words):
    with pytest.raises(error, match=words):
        Polynomial.from_chebyshev(coefficients, (-1, 1))


@pytest.mark.parametrize(
    "interval, error, words",
    [
        ((1, -1), ValueError, "empty or reversed"),
        ((1, 1), ValueError, "empty or reversed"),
        ((0, np.inf), ValueError, "not finite"),
        ((np.nan, 1), ValueError, "not finite"),
        ((-1e31, 1e31), ValueError, "cannot be mapped"),
        ((0, 1e-31), ValueError, "cannot be mapped"),
        (5, TypeError, "pair"),
        ((1, 2, 3), TypeError, "pair"),
        (("a", "b"), TypeError, "real numbers"),
        ((0, 1j), TypeError, "real numbers"),
    ],
)
def test_bad_intervals_are_refused(interval, error, words):
    with pytest.raises(error, match=words):
        Polynomial.from_chebyshev([1.0], interval)
    with pytest.raises(error, match=words):
        chebyshev("relu", 3, interval)


def test_array_scalars_as_interval():
    ends = (np.float32(-2), jnp.float32(3))
    assert Polynomial.from_chebyshev([1.0], ends).interval == (-2.0, 3.0)
    with pytest.raises(TypeError, match="known before tracing"):
        jax.jit(lambda b: Polynomial.from_chebyshev([1.0], (0, b)))(1.0)


@pytest.mark.parametrize("degree, error", [(-1, ValueError), (2.0, TypeError), (True, TypeError)])
def test_bad_degrees_are_refused(degree, error):
    with pytest.raises(error, match="a degree is"):
        depth_of_degree(degree)
    with pytest.raises(error, match="a degree is"):
        chebyshev("relu", degree, (-1, 1))
