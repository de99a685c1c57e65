"""Fits of traced problems: equal to those on the host, and derivatives against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fhejax.approx import Composite, Polynomial, c1, minimax


def scaled_silu(x, slope):
    return jax.nn.silu(slope * x)


@pytest.mark.parametrize(
    "function, interval, double",
    [
        ("sigmoid", (-8.0, 8.0), False),
        ("relu", (-1.0, 3.0), True),
        ("exp", (-4.0, 0.0), True),
        ("gelu", (-5.0, 2.0), False),
    ],
)
def test_equals_the_fit_on_the_host(function, interval, double):
    host = minimax(function, 7, interval)
    with jax.enable_x64(double):

        @jax.jit
        def traced(start, stop):
            p = minimax(function, 7, (start, stop))
            return p.stages[1].coefficients, p.certificate

        coefficients, certificate = traced(*interval)
    assert coefficients.dtype == (np.float64 if double else np.float32)
    tolerance = 1e-9 if double else 1e-6
    assert np.allclose(coefficients, host.coefficients, atol=tolerance)
    assert np.isclose(certificate.error, host.certificate.error, rtol=tolerance)
    assert abs(float(certificate.ratio) - 1) <= 1e-6
    assert np.isclose(certificate.growth, host.certificate.growth, rtol=1e-2)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_lowest_degrees(degree):
    traced = jax.jit(lambda stop: minimax("exp", degree, (-1.0, stop)).certificate)(2.0)
    assert np.isclose(traced.error, minimax("exp", degree, (-1, 2)).certificate.error, rtol=1e-6)


def test_traced_ends_give_a_composite():
    @jax.jit
    def approximate(x, bound):
        p = minimax("tanh", 9, (-bound, bound))
        assert isinstance(p, Composite) and isinstance(p.stages[1], Polynomial)
        return p(x)

    x = jnp.linspace(-3, 3, 50)
    assert np.allclose(approximate(x, 3.0), minimax("tanh", 9, (-3, 3))(x), atol=1e-5)


def test_disjoint_pieces_and_weights():
    host = minimax("reciprocal", 6, ((-2, -0.5), (0.25, 1)), weight=jnp.abs)

    @jax.jit
    def traced(inner):
        p = minimax("reciprocal", 6, ((-2.0, -0.5), (inner, 1.0)), weight=jnp.abs)
        return p.stages[1].coefficients, p.certificate.error

    coefficients, error = traced(0.25)
    assert np.allclose(coefficients, host.coefficients, rtol=1e-4)
    assert np.isclose(error, host.certificate.error, rtol=1e-5)


def check_derivative(function, at, step, tolerance=1e-4):
    """The forward derivative in float64 against central differences; returns it."""
    with jax.enable_x64(True):
        both = jax.jit(lambda t: jax.jvp(function, (t,), (1.0,)))
        derivative = both(at)[1]
        expected = (both(at + step)[0] - both(at - step)[0]) / (2 * step)
    scale = np.max(np.abs(expected)) + 1e-4
    assert np.max(np.abs(derivative - expected)) <= tolerance * scale
    return derivative


def of(p):
    """Coefficients and error in one vector."""
    polynomial = p.stages[1] if isinstance(p, Composite) else p
    return jnp.append(polynomial.coefficients, p.certificate.error)


@pytest.mark.parametrize("degree", [4, 7])
def test_derivative_by_the_bound(degree):
    check_derivative(lambda bound: of(minimax("sigmoid", degree, (-bound, bound))), 8.0, 1e-4)


def test_reverse_is_the_transpose_of_forward():
    def fitted(bound):
        return of(minimax("gelu", 5, (-bound, bound)))

    derivative = check_derivative(fitted, 4.0, 1e-4)
    with jax.enable_x64(True):
        assert np.allclose(jax.jit(jax.jacrev(fitted))(4.0), derivative, atol=1e-12)


def test_derivative_by_each_end():
    check_derivative(lambda stop: of(minimax("exp", 5, (-3.0, stop))), 1.0, 1e-4)
    check_derivative(lambda start: of(minimax("sigmoid", 6, (start, 5.0))), -3.0, 1e-4)


def test_derivative_by_the_end_of_a_gap():
    check_derivative(lambda gap: of(minimax("sign", 9, ((-1.0, -gap), (gap, 1.0)))), 0.2, 1e-5)
    check_derivative(lambda gap: of(minimax("exp", 4, ((-1.0, 0.0), (gap, 2.0)))), 1.0, 1e-5)


def test_derivative_by_parameters_and_closures():
    def explicit(slope):
        return of(minimax(scaled_silu, 7, (-4, 5), parameters=(slope,)))

    def closed_over(slope):
        return of(minimax(lambda x: scaled_silu(x, slope), 7, (-4, 5)))

    check_derivative(explicit, 1.3, 1e-4)
    check_derivative(closed_over, 1.3, 1e-4)
    check_derivative(lambda s: of(minimax("leaky_relu", 5, (-1, 1), parameters=(s,))), 0.1, 1e-4)


def test_derivative_by_the_weight():
    def weighted(rate):
        function = lambda x, r: jnp.exp(x) + 0 * r  # noqa: E731
        return of(minimax(function, 3, (0, 2), weight=lambda x, r: jnp.exp(-r * x), parameters=(rate,)))

    check_derivative(weighted, 0.7, 1e-4)


def test_derivative_of_c1_fits():
    check_derivative(lambda bound: of(c1("sigmoid", 7, (-bound, bound))), 8.0, 1e-4, tolerance=1e-3)
    host = c1("tanh", 9, (-4, 4))
    traced = jax.jit(lambda bound: of(c1("tanh", 9, (-bound, bound))))(4.0)
    assert np.allclose(traced[:-1], host.coefficients, atol=2e-3)
    assert np.isclose(traced[-1], host.certificate.error, rtol=2e-3)


def test_gradients_in_single_precision():
    slope = jax.grad(lambda bound: minimax("sigmoid", 7, (-bound, bound)).certificate.error)(8.0)
    wider, narrower = (minimax("sigmoid", 7, (-b, b)).certificate.error for b in (8.01, 7.99))
    assert slope.dtype == np.float32 and np.isclose(slope, (wider - narrower) / 0.02, rtol=1e-4)


def test_training_an_interval_end_to_end():
    x = jnp.linspace(-2.0, 2.0, 101)

    def loss(bound):
        return jnp.mean((minimax("relu", 3, (-bound, bound))(x) - jax.nn.relu(x)) ** 2)

    optimiser = optax.sgd(5.0, momentum=0.8)

    def step(state, _):
        bound, memory = state
        updates, memory = optimiser.update(jax.grad(loss)(bound), memory, bound)
        return (bound + updates, memory), None

    start = jnp.float32(5.0)
    (bound, _), _ = jax.jit(lambda s: jax.lax.scan(step, s, None, 40))((start, optimiser.init(start)))
    # The mean square on (-2, 2) is smallest for a fit on about that interval.
    assert 1.8 < bound < 2.6


def test_many_layers_at_once():
    @jax.jit
    @jax.vmap
    def layers(bound, slope):
        p = minimax(scaled_silu, 15, (-bound, bound), parameters=(slope,))
        return p, p.certificate

    bounds, slopes = jnp.linspace(2, 10, 32), jnp.linspace(1, 2, 32)
    _, certificates = layers(bounds, slopes)
    assert certificates.error.shape == (32,) and np.all(certificates.ratio < 1 + 1e-5)
    for index in (0, 13, 31):
        bound, slope = float(bounds[index]), float(slopes[index])
        host = minimax(scaled_silu, 15, (-bound, bound), parameters=(slope,)).certificate
        assert np.isclose(certificates.error[index], host.error, rtol=1e-5, atol=1e-12)


def test_vmap_of_jit_of_grad():
    def error(bound):
        return minimax("tanh", 5, (-bound, bound)).certificate.error

    bounds = jnp.array([1.0, 2.0, 4.0])
    mapped = jax.vmap(jax.jit(jax.grad(error)))(bounds)
    assert np.allclose(mapped, [jax.grad(error)(b) for b in bounds], rtol=1e-5)


def test_bad_traced_intervals_are_marked_or_refused():
    coefficients = jax.jit(lambda b: minimax("relu", 3, (b, -b)).stages[1].coefficients)(1.0)
    assert np.all(np.isnan(coefficients))
    assert np.isnan(jax.jit(lambda a: minimax("log", 3, (a, 1.0)).certificate.error)(-0.5))
    with pytest.raises(TypeError, match=r"jax\.vmap"):
        jax.jit(lambda b: minimax("relu", 3, (-b, b)))(jnp.ones(4))
    with pytest.raises(ValueError, match="empty or reversed"):
        jax.jit(lambda s: minimax(scaled_silu, 3, (2, 1), parameters=(s,)))(1.0)


def test_closures_of_another_precision_are_explained():
    # Strict promotion refuses float32 times float64.
    with pytest.raises(TypeError, match="through `parameters`"):
        jax.jit(lambda s: minimax(lambda x: x * s, 3, (-1, 1)).coefficients)(jnp.float32(1))
