"""Measured errors and certificates."""

import numpy as np
import pytest

from fhejax.approx import (
    Polynomial,
    chebyshev,
    derivative_error,
    error,
    least_squares,
    minimax,
    multiplications_of_degree,
    root_mean_square_error,
)


def test_derivative_and_mean_square_errors():
    line = Polynomial.from_monomial([0.0, 2.0], (-1, 3))
    assert error(line, "square") == pytest.approx(3)
    assert derivative_error(line, "square") == pytest.approx(4)
    # The mean of (2x - x^2)^2 on (-1, 3).
    assert root_mean_square_error(line, "square") == pytest.approx(np.sqrt(23 / 15), rel=1e-5)


@pytest.mark.parametrize("fit", [chebyshev, least_squares])
def test_every_fit_says_how_far_from_best_it_is(fit):
    p, best = fit("silu", 8, (-5, 3)), minimax("silu", 8, (-5, 3))
    assert p.certificate.error == pytest.approx(error(p, "silu"))
    # de la Vallee-Poussin: the best error is between error / ratio and error.
    assert p.certificate.error / p.certificate.ratio <= best.certificate.error <= p.certificate.error
    assert p.certificate.depth == p.depth == 4 and p.certificate.degree == 8


def test_products_of_ciphertexts():
    expected = {0: 0, 1: 0, 2: 1, 3: 2, 4: 3, 7: 4, 15: 7, 31: 11, 63: 16}
    found = {degree: multiplications_of_degree(degree) for degree in expected}
    assert found | {1: 0} == expected


def test_kind_of_error_for_families():
    family = Polynomial.from_chebyshev(np.stack([np.eye(3)[1], np.eye(3)[2]]), (-1, 1))
    assert np.allclose(error(family, "square"), [2.0, 1.0])
    assert np.allclose(root_mean_square_error(family, "identity")[0], 0, atol=1e-12)
