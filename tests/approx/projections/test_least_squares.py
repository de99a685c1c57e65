"""Least squares against Legendre projections, normal equations and known orthogonal bases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import legendre

from fhejax.approx import chebyshev, error, least_squares
from fhejax.approx.projections.least_squares import fejer


@pytest.mark.parametrize("interval", [(-1.0, 1.0), (-2.0, 7.0)])
@pytest.mark.parametrize("degree", [0, 1, 4, 11])
def test_uniform_fit_is_the_legendre_projection(degree, interval):
    start, stop = interval
    nodes, weights = legendre.leggauss(200)
    values = 1 / (1 + np.exp(-((start + stop) / 2 + (stop - start) / 2 * nodes)))
    basis = legendre.legvander(nodes, degree)
    series = (2 * np.arange(degree + 1) + 1) / 2 * (basis.T @ (weights * values))
    expected = np.polynomial.chebyshev.poly2cheb(legendre.leg2poly(series))
    fitted = least_squares("sigmoid", degree, interval).coefficients
    assert np.allclose(fitted, np.pad(expected, (0, degree + 1 - len(expected))), atol=1e-11)


def test_relu_of_degree_two_is_known():
    # max(x, 0) on [-1, 1]: 3/32 + x/2 + 15/32 x^2 minimises the mean square.
    fitted = least_squares("relu", 2, (-1, 1)).to_monomial()
    assert np.allclose(fitted, [3 / 32, 1 / 2, 15 / 32], atol=1e-5)


def test_chebyshev_weight_gives_the_chebyshev_series():
    # |x| = 2/pi - 4/pi sum (-1)^k / (4k^2 - 1) T_2k under the weight 1 / sqrt(1 - x^2).
    fitted = least_squares("abs", 4, (-1, 1), weight=lambda x: (1 - x**2) ** -0.5).coefficients
    expected = [2 / np.pi, 0, 4 / (3 * np.pi), 0, -4 / (15 * np.pi)]
    assert np.allclose(fitted, expected, atol=1e-3)


def test_hermite_weight():
    # Under a standard normal density the best quadratic for ReLU is a Hermite expansion.
    root = np.sqrt(2 * np.pi)
    fitted = least_squares("relu", 2, (-12, 12), weight=lambda x: jnp.exp(-(x**2) / 2))
    assert np.allclose(fitted.to_monomial(), [1 / (2 * root), 1 / 2, 1 / (2 * root)], atol=1e-4)


@pytest.mark.parametrize("weight", [None, lambda x: 1 + x**2])
def test_samples_solve_the_normal_equations(weight):
    samples = np.random.default_rng(1).normal(1.0, 0.7, size=(40, 25)).clip(-3, 4)
    p = least_squares("silu", 5, (-3, 4), weight, samples)
    with jax.enable_x64(True):
        residual = np.asarray(p(samples)) - np.asarray(jax.nn.silu(jnp.asarray(samples)))
    masses = 1.0 if weight is None else weight(samples)
    for power in range(6):
        assert abs(np.mean(masses * residual * samples**power)) < 1e-10


def test_samples_make_the_fit_better_where_they_lie():
    samples = np.random.default_rng(0).normal(0, 0.5, 4000).clip(-4, 4)
    exact = np.maximum(samples, 0)
    profiled = least_squares("relu", 6, (-4, 4), samples=samples)
    uniform = least_squares("relu", 6, (-4, 4))
    mean_square = [float(np.mean((np.asarray(p(samples)) - exact) ** 2)) for p in (profiled, uniform)]
    assert mean_square[0] < mean_square[1] / 4


def test_high_degree_is_well_conditioned():
    p = least_squares("tanh", 63, (-8, 8))
    assert error(p, "tanh") < 3 * error(chebyshev("tanh", 63, (-8, 8)), "tanh")
    assert np.all(p.coefficients[::2] == 0)


@pytest.mark.parametrize("count", [1, 2, 9, 64])
def test_quadrature_is_exact_below_its_count(count):
    nodes, weights = fejer(count)
    assert np.all(weights > 0)
    for power in range(count):
        exact = 2 / (power + 1) if power % 2 == 0 else 0.0
        assert np.sum(weights * nodes**power) == pytest.approx(exact, abs=1e-13)


def test_bad_weights_and_samples_are_refused_in_sentences():
    with pytest.raises(ValueError, match=r"nonnegative and somewhere positive.*from -1 to"):
        least_squares("relu", 2, (-1, 1), weight="identity", samples=[-1.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="somewhere positive"):
        least_squares("relu", 2, (-1, 1), weight=lambda x: 0 * x)
    with pytest.raises(ValueError, match="needs at least 3 distinct samples, but 2"):
        least_squares("relu", 2, (-1, 1), samples=[0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="reach from -1 to 5, outside"):
        least_squares("relu", 2, (-1, 1), samples=[-1.0, 0.0, 5.0])
    with pytest.raises(ValueError, match="outside"):
        least_squares("relu", 2, (-1, 1), samples=[-1.0, 0.0, 0.5, np.nan])
