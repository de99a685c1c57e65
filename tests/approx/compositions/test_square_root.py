"""Square roots and their inverses by both iterations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import rsqrt, sqrt
from fhejax.approx.errors.measurement import on_host

X = np.linspace(0.1, 2, 3001)


@pytest.mark.parametrize("method", ["newton", "goldschmidt"])
@pytest.mark.parametrize("fit, exact", [(rsqrt, X**-0.5), (sqrt, X**0.5)])
def test_converges_quadratically(fit, exact, method):
    errors = [fit((0.1, 2), 3, count, method=method).certificate.error for count in range(5)]
    relative = [rsqrt((0.1, 2), 3, count).certificate.error for count in range(3)]
    assert errors[4] < 1e-8 < errors[2] < errors[1] < errors[0]
    assert relative[1] < 4 * relative[0] ** 2 and relative[2] < 4 * relative[1] ** 2
    p = fit((0.1, 2), 3, 4, method=method)
    assert np.allclose(on_host(p, X), exact, atol=1e-8)
    assert np.allclose(jax.jit(lambda q, x: q(x))(p, jnp.asarray(X[::100])), exact[::100], rtol=1e-5)


def test_both_iterations_agree_and_cost_what_they_say():
    newton, goldschmidt = (rsqrt((0.1, 2), 7, 2, method=m) for m in ("newton", "goldschmidt"))
    assert np.allclose(on_host(newton, X), on_host(goldschmidt, X), atol=1e-12)
    assert newton.depth == 3 + 4 and goldschmidt.depth == 3 + 1 + 4
    assert sqrt((0.1, 2), 7, 2).depth == 8 and sqrt((0.1, 2), 7, 2, method="goldschmidt").depth == 8
    assert newton.degree == 9 * 7 + 4 and newton.multiplications == 4 + 6


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="needs positive x, but the interval"):
        rsqrt((0, 1), 3, 2)
    with pytest.raises(ValueError, match="no iteration converges"):
        sqrt((1e-4, 1), 1, 2)
    with pytest.raises(ValueError, match="at least 0, but -1"):
        sqrt((0.1, 1), 3, -1)
