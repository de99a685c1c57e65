"""Softmax by normalising and squaring, against the exact one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.approx import softmax


@pytest.mark.parametrize("interval, size, squarings", [((-1, 1), 10, 0), ((-8, 8), 10, 3), ((0, 8), 64, 2)])
def test_is_within_the_error_everywhere(interval, size, squarings):
    p = softmax(interval, size, error=1e-3)
    start, stop = interval
    generator = np.random.default_rng(0)
    x = generator.uniform(start, stop, (3000, size))
    x[: size + 1] = start
    x[range(size), range(size)] = stop
    x[size + 1 : 2 * size] = np.where(generator.random((size - 1, size)) < 0.5, start, stop)
    with jax.enable_x64(True):
        found, exact = np.asarray(p(jnp.asarray(x))), np.asarray(jax.nn.softmax(jnp.asarray(x)))
    assert p.squarings == squarings and p.certificate.error <= 1e-3
    assert np.max(np.abs(found / exact - 1)) <= p.certificate.error
    assert np.allclose(np.sum(found, axis=-1), 1, atol=1e-3)


def test_axis_and_transformations():
    p = softmax((-2, 2), 3)
    x = jnp.linspace(-2, 2, 12).reshape(3, 4)
    exact = jax.nn.softmax(x, axis=0)
    assert np.allclose(p(x, axis=0), exact, atol=1e-3)
    assert np.allclose(jax.jit(jax.vmap(p, in_axes=1, out_axes=1))(x), exact, atol=1e-3)
    assert p.depth > 0


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="fitted for 10 entries, but axis -1"):
        softmax((-1, 1), 10)(jnp.ones((10, 3)))
    with pytest.raises(ValueError, match="2 entries or more"):
        softmax((-1, 1), 1)
    with pytest.raises(ValueError, match="no polynomial up to degree 31"):
        softmax((-1, 1), 4, error=1e-300)
