"""Folding changes the structure and not the function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


def used(features, **options):
    """A normalisation with statistics and weights as after training."""
    norm = nnx.BatchNorm(features, use_running_average=True, rngs=nnx.Rngs(0), **options)
    generator = np.random.default_rng(2)
    for variable in (norm.mean, norm.var, norm.scale, norm.bias):
        if variable is not None:
            variable[...] = jnp.asarray(generator.uniform(0.2, 2.0, features), jnp.float32)
    return norm


def layers_and_inputs():
    rngs, generator = nnx.Rngs(3), np.random.default_rng(3)
    images = generator.normal(size=(2, 9, 9, 4)).astype(np.float32)
    yield nnx.Conv(4, 6, (3, 3), padding="VALID", rngs=rngs), images
    yield nnx.Conv(4, 6, (3, 3), strides=2, padding="VALID", use_bias=False, rngs=rngs), images
    yield nnx.Linear(4, 6, rngs=rngs), images[:, 0, 0]
    yield nnx.Linear(4, 6, use_bias=False, rngs=rngs), images[:, 0, 0]


@pytest.mark.parametrize("options", [{}, {"use_scale": False}, {"use_bias": False}])
def test_folding_into_either_neighbour(options):
    for layer, x in layers_and_inputs():
        after, before = used(6, **options), used(4, **options)
        for evaluate in (lambda f, x: f(x), lambda f, x: jax.jit(f)(x)):
            folded = evaluate(nn.fold_into_previous(layer, after), x)
            np.testing.assert_allclose(folded, after(layer(x)), atol=2e-5)
            folded = evaluate(nn.fold_into_next(before, layer), x)
            np.testing.assert_allclose(folded, layer(before(x)), atol=2e-5)


def test_padding_and_groups_are_refused_before_but_not_after():
    padded = nnx.Conv(4, 6, (3, 3), rngs=nnx.Rngs(0))
    grouped = nnx.Conv(4, 4, (3, 3), padding="VALID", feature_group_count=2, rngs=nnx.Rngs(0))
    for layer in (padded, grouped):
        with pytest.raises(ValueError, match="cannot be folded into it"):
            nn.fold_into_next(used(4), layer)
    zero = nnx.Conv(4, 6, (3, 3), padding=((0, 0), (0, 0)), rngs=nnx.Rngs(0))
    nn.fold_into_next(used(4), zero)
    x = np.ones((1, 5, 5, 4), np.float32)
    folded = nn.fold_into_previous(padded, used(6))
    np.testing.assert_allclose(folded(x), used(6)(padded(x)), atol=2e-5)


def test_a_network_without_its_normalisation():
    model = nn.Digits(rngs=nnx.Rngs(0))
    model.normalisation = used(16)
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    folded = nn.fold_batch_norm(model)
    assert not any(isinstance(layer, nnx.BatchNorm) for layer in folded.layers())
    assert isinstance(model.normalisation, nnx.BatchNorm)
    np.testing.assert_allclose(folded(images), model(images), atol=2e-5)
    exact = nn.CryptoNets(rngs=nnx.Rngs(0))
    assert nn.fold_batch_norm(exact) is exact


def test_a_normalisation_with_no_neighbour_is_refused():
    class Awkward(nn.Digits):
        def layers(self):
            return (self.polynomial, self.normalisation, self.square)

    with pytest.raises(ValueError, match="between PolynomialActivation and Square"):
        nn.fold_batch_norm(Awkward(rngs=nnx.Rngs(0)))
