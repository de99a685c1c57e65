"""Maximum of two and of many numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import composite, maximum


def test_of_two_and_of_many():
    p = maximum((7, 7), (0, 1))
    assert p.certificate.error == pytest.approx(composite("abs", (7, 7), (-1, 1)).certificate.error / 2)
    assert p.depth == 7 and p.multiplications == p.absolute.multiplications
    generator = np.random.default_rng(0)
    x, y = jnp.asarray(generator.random((2, 500)), jnp.float32)
    assert (
        np.max(np.abs(jax.jit(lambda q, a, b: q(a, b))(p, x, y) - np.maximum(x, y)))
        < p.certificate.error + 1e-6
    )
    many = jnp.asarray(generator.random((40, 7)), jnp.float32)
    assert np.max(np.abs(p.reduce(many) - np.max(many, axis=-1))) < 3 * p.certificate.error + 1e-6
    assert np.allclose(p.reduce(many.T, axis=0), p.reduce(many), atol=1e-6)
    assert np.allclose(p.reduce(many[:, :1]), many[:, 0])


def test_bad_intervals_are_refused():
    with pytest.raises(ValueError, match="empty or reversed"):
        maximum((7, 7), (1, 0))
