"""Certificates belong to the results of fits, and to nothing that is made of these."""

import jax
import pytest

from fhejax.approx import chebyshev, error
from fhejax.approx.polynomials.certificate import certificate_of


def test_a_fit_has_the_certificate_of_its_error():
    fitted = chebyshev("tanh", 5, (-2.0, 2.0))
    assert certificate_of(fitted).error == pytest.approx(error(fitted, "tanh"), rel=1e-6)


def test_what_is_made_of_a_fit_has_none():
    halved = jax.tree.map(lambda leaf: leaf / 2, chebyshev("tanh", 5, (-2.0, 2.0)))
    with pytest.raises(ValueError, match="this Polynomial has none"):
        certificate_of(halved)
