"""Hermite expansions against closed forms and least squares under a normal density."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import hermite, hermite_coefficients, least_squares


def test_relu_is_known():
    # E[relu(z) h_n(z)] for n = 0 .. 4 (AESPA, appendix): 1/sqrt(2 pi), 1/2, 1/(2 sqrt pi), 0, -1/sqrt(48 pi).
    expected = [
        1 / math.sqrt(2 * math.pi),
        0.5,
        1 / (2 * math.sqrt(math.pi)),
        0,
        -1 / math.sqrt(48 * math.pi),
    ]
    assert np.allclose(hermite_coefficients("relu", 4), expected, atol=2e-7)
    assert np.allclose(hermite("relu", 1, (-4, 4)).to_monomial(), expected[:2], atol=2e-7)


def test_exponential_has_a_generating_function():
    expected = [math.sqrt(math.e) / math.sqrt(math.factorial(n)) for n in range(9)]
    assert np.allclose(hermite_coefficients("exp", 8), expected, rtol=1e-12)


@pytest.mark.parametrize("mean, deviation", [(0.0, 1.0), (0.5, 0.7)])
def test_equals_least_squares_under_the_density(mean, deviation):
    fitted = hermite("silu", 5, (-3, 4), mean=mean, deviation=deviation)

    def density(x):
        return jnp.exp(-((x - mean) ** 2) / (2 * deviation**2))

    wide = least_squares("silu", 5, (-12, 13), weight=density)
    assert np.allclose(fitted.to_monomial(), wide.to_monomial(), atol=1e-6)
    assert fitted.certificate.degree == 5


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="deviation is finite and positive"):
        hermite("relu", 2, (-1, 1), deviation=-1.0)
    with pytest.raises(ValueError, match="log is not finite"):
        hermite("log", 2, (1, 2))


def test_degrees_whose_factorials_exceed_64_bits():
    # The normal density fades as fast as e^x grows: E[e^z h_n(z)] = sqrt(e / n!).
    found = hermite_coefficients("exp", 30)
    assert found[25:] == pytest.approx(
        [math.sqrt(math.e / math.factorial(n)) for n in range(25, 31)], abs=1e-12
    )
    assert hermite("tanh", 21, (-1.0, 1.0)).degree == 21
