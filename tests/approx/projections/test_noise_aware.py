"""Noise-aware fits against ridge regression, and the trade they make."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import least_squares, noise_aware
from fhejax.approx.projections.least_squares import weighted_rows


def test_quadratic_variance_is_ridge_regression():
    sizes = np.arange(1.0, 9.0)
    p = noise_aware("silu", 7, (-4, 4), lambda c: 1e-3 * jnp.sum(c**2 * sizes))
    rows, right = weighted_rows("silu", 7, (-4.0, 4.0))
    expected = np.linalg.solve(rows.T @ rows + 1e-3 * np.diag(sizes), rows.T @ right)
    assert np.allclose(p.coefficients, expected, atol=1e-12)


def test_no_noise_is_least_squares_and_more_noise_means_smaller_coefficients():
    plain = least_squares("tanh", 15, (-8, 8))
    assert np.allclose(
        noise_aware("tanh", 15, (-8, 8), lambda c: 0.0 * jnp.sum(c)).coefficients,
        plain.coefficients,
        atol=1e-9,
    )
    sizes = [
        np.sum(noise_aware("tanh", 15, (-8, 8), lambda c, s=s: s * jnp.sum(c**2)).coefficients ** 2)
        for s in (1e-4, 1e-2, 1.0)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_any_convex_variance():
    p = noise_aware(
        "relu", 6, (-2, 2), lambda c: 1e-2 * jnp.sum(jnp.sqrt(1 + c**2)), samples=np.linspace(-2, 2, 300)
    )

    def objective(c):
        x = np.linspace(-2, 2, 300)
        errors = np.polynomial.Chebyshev(c, (-2, 2))(x) - np.maximum(x, 0)
        return np.mean(errors**2) + 1e-2 * np.sum(np.sqrt(1 + c**2))

    best = objective(p.coefficients)
    for direction in np.random.default_rng(0).normal(size=(20, 7)):
        assert objective(p.coefficients + 1e-3 * direction) > best


def test_bad_variances_are_refused_in_sentences():
    with pytest.raises(ValueError, match="finite scalar for each polynomial"):
        noise_aware("relu", 3, (-1, 1), lambda c: c)
    with pytest.raises(ValueError, match="finite scalar"):
        noise_aware("relu", 3, (-1, 1), lambda c: jnp.sum(c) / 0)
    with pytest.raises(ValueError, match="within 50 Newton steps"):
        noise_aware("relu", 3, (-1, 1), lambda c: -1e3 * jnp.sum(c**4))
