"""1/x by iterations: residuals are squared exactly, on intervals of either sign."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import reciprocal
from fhejax.approx.errors.measurement import on_host


@pytest.mark.parametrize("method, depth", [("goldschmidt", 2 + 1 + 3), ("newton", 2 + 2 * 3)])
def test_residual_is_squared_by_each_iteration(method, depth):
    x = np.linspace(0.1, 1, 4001)
    seed = reciprocal((0.1, 1), 3, 0)
    p = reciprocal((0.1, 1), 3, 3, method=method)
    assert np.allclose(1 - x * on_host(p, x), (1 - x * on_host(seed, x)) ** 8, atol=1e-13)
    assert p.depth == depth and p.degree == 31 and p.multiplications == 2 + 6
    assert p.certificate.error == pytest.approx(np.max(np.abs(on_host(p, x) - 1 / x)), rel=1e-3)


def test_intervals_of_either_sign():
    for interval in ((-2, -0.5), ((-1, -0.2), (0.3, 1))):
        p = reciprocal(interval, 7, 3)
        for x in (-0.7, -0.9):
            assert float(p(x)) == pytest.approx(1 / x, abs=p.certificate.error + 1e-5)


def test_under_transformations():
    p = reciprocal((0.2, 2), 3, 3)
    x = jnp.linspace(0.2, 2, 17)
    assert np.allclose(jax.jit(lambda q, at: q(at))(p, x), 1 / x, rtol=1e-3)
    assert np.allclose(jax.vmap(jax.grad(p))(x[5:]), -1 / x[5:] ** 2, rtol=1e-2)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="not finite at 0, which lies in"):
        reciprocal((-1, 1), 3, 2)
    with pytest.raises(ValueError, match="no iteration converges; raise the degree"):
        reciprocal(((-1, -0.001), (0.001, 1)), 0, 2)
    with pytest.raises(ValueError, match="goldschmidt and newton, but 'halley'"):
        reciprocal((0.1, 1), 3, 2, method="halley")
    with pytest.raises(TypeError, match="number of iterations is an integer"):
        reciprocal((0.1, 1), 3, 2.0)
