"""Finding, replacing, folding and watching the activations of a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn


class Block(nnx.Module):
    """No chain: its activation is found among its modules."""

    def __init__(self, activation, rngs):
        self.linear = nnx.Linear(4, 4, rngs=rngs)
        self.activation = activation

    def __call__(self, x):
        return x + self.activation(self.linear(x))


class Nested(nnx.Module):
    """Blocks in a list, one activation that is used twice, and an order that is not alphabetical."""

    def __init__(self, rngs):
        self.shared = nn.PolynomialActivation(3, scaling="trained")
        self.blocks = nnx.List([Block(self.shared, rngs), Block(nn.HermiteActivation(4), rngs)])
        self.first = nn.Square()
        self.norm = nnx.BatchNorm(4, rngs=rngs)

    def layers(self):
        return (self.shared, *self.blocks, self.norm, self.first, jnp.tanh)

    def __call__(self, x):
        for layer in self.layers():
            x = layer(x)
        return x


def images(count=4):
    return np.random.default_rng(0).random((count, 8, 8, 1), np.float32)


def rows(count=6):
    return jnp.asarray(np.random.default_rng(1).normal(size=(count, 4)), jnp.float32)


def test_activations_come_in_the_order_of_the_layers():
    digits = nn.Digits(rngs=nnx.Rngs(0))
    assert nn.activation_layers(digits) == (digits.polynomial, digits.square)
    nested = Nested(nnx.Rngs(0))
    expected = (nested.shared, nested.blocks[1].activation, nested.first)
    assert nn.activation_layers(nested) == expected
    rngs = nnx.Rngs(0)
    chain = nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), nn.Square(), Block(nn.ExactActivation(), rngs))
    assert [type(found) for found in nn.activation_layers(chain)] == [nn.Square, nn.ExactActivation]


def test_replacement_leaves_the_original_and_all_weights():
    digits = nnx.view(nn.Digits(rngs=nnx.Rngs(0)), use_running_average=True)
    before = digits(images())
    replaced = nn.replace_activation(digits, 1, nn.ExactActivation("relu"))
    assert isinstance(digits.square, nn.Square) and isinstance(replaced.square, nn.ExactActivation)
    x = digits.polynomial(digits.normalisation(digits.convolution(images())))
    x = digits.hidden(nn.models.flatten(nn.models.average_pool(x)))
    np.testing.assert_allclose(replaced(images()), digits.output(jax.nn.relu(x)), rtol=1e-5, atol=1e-5)
    replaced.output.kernel[...] = jnp.zeros_like(replaced.output.kernel[...])
    np.testing.assert_array_equal(digits(images()), before)
    with pytest.raises(IndexError, match="Digits has 2 activations, so that there is none at 2"):
        nn.replace_activation(digits, 2, nn.Square())


def test_a_shared_activation_is_replaced_wherever_it_is_used():
    nested = Nested(nnx.Rngs(0))
    replaced = nn.replace_activation(nested, 0, nn.Square())
    assert isinstance(replaced.shared, nn.Square) and replaced.blocks[0].activation is replaced.shared
    assert isinstance(replaced.blocks[1].activation, nn.HermiteActivation)


def test_folding_makes_every_interval_static():
    nested = Nested(nnx.Rngs(0))
    nested.shared.log_scale[...] = jnp.float32(0.7)
    for _ in range(3):
        nested(rows())
    predict = nnx.view(nested, use_running_average=True)
    folded = nn.fold_activations(predict)
    kinds = [(type(layer), getattr(layer, "scaling", None)) for layer in nn.activation_layers(folded)]
    assert kinds == [(nn.PolynomialActivation, "fixed")] * 2 + [(nn.Square, None)]
    assert folded.shared.interval == pytest.approx((-4 * np.exp(0.7), 4 * np.exp(0.7)), rel=1e-6)
    for evaluate in (folded, jax.jit(folded)):
        np.testing.assert_allclose(evaluate(rows()), predict(rows()), rtol=1e-4, atol=1e-4)


def test_moments_are_taken_behind_the_polynomials_before():
    network = nn.ShallowCifar(lambda features: nn.HermiteActivation(features), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype(np.float32)
    folded = nn.fold_activations(network, x)
    np.testing.assert_allclose(
        folded(x), nnx.view(network, use_running_average=False)(x), rtol=1e-3, atol=1e-3
    )
    assert all(isinstance(layer, nn.PolynomialActivation) for layer in nn.activation_layers(folded))
    with pytest.raises(ValueError, match="moments of no values"):
        nn.activation_layers(network)[0].with_moments_of(np.zeros((0, 32), np.float32))


def test_the_exact_twin_has_the_same_weights_and_relu():
    digits = nnx.view(nn.Digits(rngs=nnx.Rngs(0)), use_running_average=True)
    twin = nn.exact_twin(digits)
    assert [layer.function for layer in nn.activation_layers(twin)] == ["relu", "relu"]
    assert twin.output.kernel is not digits.output.kernel
    np.testing.assert_array_equal(twin.output.kernel[...], digits.output.kernel[...])
    x = jax.nn.relu(digits.normalisation(digits.convolution(images())))
    x = jax.nn.relu(digits.hidden(nn.models.flatten(nn.models.average_pool(x))))
    np.testing.assert_allclose(twin(images()), digits.output(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="no function named"):
        nn.exact_twin(digits, "rely")


def test_preactivations_are_what_goes_in():
    digits = nnx.view(nn.Digits(rngs=nnx.Rngs(0)), use_running_average=True)
    expected = digits.normalisation(digits.convolution(images()))
    for evaluate in (nn.preactivations, jax.jit(nn.preactivations)):
        outputs, (first, second) = evaluate(digits, images())
        np.testing.assert_allclose(outputs, digits(images()), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(first, expected.reshape(-1, 16), rtol=1e-4, atol=1e-5)
        assert second.shape == (4, 32)
    assert not hasattr(digits.polynomial, "inputs") and not digits.polynomial.recording
    assert not jax.tree.leaves(nnx.state(digits, nnx.Intermediate))


def test_preactivations_of_a_shared_activation_are_joined_and_statistics_move():
    nested = Nested(nnx.Rngs(0))
    before = nested.norm.mean[...]
    _, inputs = nn.preactivations(nested, rows())
    assert [values.shape for values in inputs] == [(12, 4), (6, 4), (6, 4)]
    np.testing.assert_array_equal(inputs[0][:6], rows())
    assert np.any(nested.norm.mean[...] != before)


def test_an_activation_that_is_not_applied_is_reported():
    class Idle(nnx.Module):
        def __init__(self):
            self.idle = nn.Square()

        def __call__(self, x):
            return x

    with pytest.raises(ValueError, match="the Square at 0 was not applied"):
        nn.preactivations(Idle(), rows())
