"""Exponentials by repeated squaring."""

import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import exponential, minimax
from fhejax.approx.errors.measurement import on_host


@pytest.mark.parametrize("interval", [(-16, 0), (-4, 1), (0, 3)])
@pytest.mark.parametrize("degree, squarings", [(7, 2), (7, 3), (15, 1)])
def test_is_close_and_certified(interval, degree, squarings):
    p = exponential(interval, degree, squarings)
    x = np.linspace(*interval, 5001)
    errors = np.abs(on_host(p, x) - np.exp(x))
    assert np.max(errors) <= p.certificate.error * (1 + 1e-3) + 1e-14 * np.exp(interval[1])
    assert p.certificate.error < 1e-5 * np.exp(interval[1])
    assert p.depth == degree.bit_length() + squarings and p.degree == degree << squarings
    # The weight levels the error of the power: it is as large at several other points.
    assert np.sum(errors > 0.8 * np.max(errors)) >= 3 or np.max(errors) < 1e-14
    assert np.allclose(p(jnp.asarray(x[::500])), np.exp(x[::500]), rtol=1e-4, atol=1e-5)


def test_no_squaring_is_minimax():
    best = minimax("exp", 7, (-8, 0)).certificate.error
    assert exponential((-8, 0), 7, 0).certificate.error == pytest.approx(best, rel=1e-3)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="number of squarings is at least 0"):
        exponential((0, 1), 3, -1)
    with pytest.raises(ValueError, match="empty or reversed"):
        exponential((1, 0), 3, 1)
