"""Square and polynomial activations against NumPy's own evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax.nn import PolynomialActivation, Square


def test_square():
    x = jnp.asarray([-3.0, 0.5], jnp.float32)
    np.testing.assert_array_equal(Square()(x), [9.0, 0.25])


@pytest.mark.parametrize("degree", [1, 2, 3, 7])
def test_starts_as_the_interpolant_of_its_function(degree):
    activation = PolynomialActivation(degree, function=jax.nn.softplus, interval=(-3.0, 5.0))
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    x = jnp.asarray(1.0 + 4.0 * nodes, jnp.float32)
    np.testing.assert_allclose(activation(x), jax.nn.softplus(x), atol=1e-5)


def test_channels_have_their_own_coefficients():
    coefficients = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    activation = PolynomialActivation(2, coefficients=coefficients, features=2, interval=(-2, 2))
    x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(3, 2)
    expected = [
        np.polynomial.Chebyshev(c, domain=(-2, 2))(x[:, i].astype(float)) for i, c in enumerate(coefficients)
    ]
    for evaluate in (activation, jax.jit(activation), jax.vmap(activation)):
        np.testing.assert_allclose(evaluate(x), np.stack(expected, axis=1), atol=1e-5)


def test_only_trainable_coefficients_are_parameters():
    trainable = PolynomialActivation(3)
    fixed = PolynomialActivation(3, trainable=False)
    assert len(jax.tree.leaves(nnx.state(trainable, nnx.Param))) == 1
    assert not jax.tree.leaves(nnx.state(fixed, nnx.Param))
    gradient = nnx.grad(lambda model: jnp.sum(model(jnp.ones(4, jnp.float32))))(trainable)
    assert np.any(jax.tree.leaves(gradient)[0] != 0)


def test_bad_descriptions_are_refused():
    with pytest.raises(ValueError, match="degree of at least 1"):
        PolynomialActivation(0)
    with pytest.raises(ValueError):
        PolynomialActivation(2, interval=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"needs coefficients of shape \(4, 3\), not \(4, 2\)"):
        PolynomialActivation(2, features=4, coefficients=np.zeros((4, 2)))
