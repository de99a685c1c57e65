"""Taylor polynomials against known series and published errors."""

import math

import numpy as np
import pytest

from fhejax.approx import taylor


@pytest.mark.parametrize("bound, expected", [(2, 7.8e-3), (5, 11.8), (8, 383)])
def test_published_errors_of_the_sigmoid(bound, expected):
    assert taylor("sigmoid", 7, (-bound, bound)).certificate.error == pytest.approx(expected, rel=5e-3)


def test_known_series():
    powers = taylor("exp", 10, (-1, 1)).to_monomial()
    assert np.allclose(powers, [1 / math.factorial(k) for k in range(11)], rtol=1e-6)
    about_two = taylor("log", 4, (1, 4), center=2.0).to_monomial()
    shifted = np.polynomial.Polynomial([math.log(2), 1 / 2, -1 / 8, 1 / 24, -1 / 64])
    assert np.allclose(about_two, shifted(np.polynomial.Polynomial([-2, 1])).coef, atol=1e-10)
    tangent = taylor("tanh", 9, (-3, 3)).to_monomial()
    assert np.allclose(tangent, [0, 1, 0, -1 / 3, 0, 2 / 15, 0, -17 / 315, 0, 62 / 2835], atol=1e-9)


def test_of_a_polynomial_and_beside_a_kink():
    assert np.allclose(taylor(lambda x: x**3 - x, 2, (-1, 2)).to_monomial(), [0.125, -1.75, 1.5], atol=1e-12)
    assert np.allclose(taylor("relu", 3, (-1, 3), center=2).to_monomial(), [0, 1, 0, 0], atol=1e-12)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="relu has no Taylor series at 0"):
        taylor("relu", 3, (-1, 1))
    with pytest.raises(ValueError, match="lies inside of its interval"):
        taylor("exp", 3, (-1, 1), center=2)
    with pytest.raises(ValueError, match="log is not finite"):
        taylor("log", 3, (-1, 1))
