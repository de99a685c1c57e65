"""Encrypted images convolved by encrypted kernels, and the gradients, with one sample in each slot."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from traced_functions import check_clear, encrypted, refusals, tensors_of

from fhejax.program.tensor.graph import live_operations
from fhejax.program.tensor.operations.contraction import Contraction
from fhejax.program.tensor.operations.rearrangements.patches import Patches
from fhejax.program.tensor.operations.rearrangements.reversal import Reversal

ORDERS = [("NHWC", "HWIO", "NHWC"), ("NCHW", "OIHW", "NHWC"), ("CHWN", "IHWO", "NCHW")]
SIZES = {"N": 3, "C": 2, "H": 5, "W": 6, "I": 2, "O": 4}
WINDOWS = {"H": 2, "W": 3}


def arguments_of(order):
    image = tuple(SIZES[c] for c in order[0])
    kernel = tuple((SIZES | WINDOWS)[c] for c in order[1])
    return encrypted(kernel, None), encrypted(image, order[0].index("N"))


def convolved(kernel, x, order=ORDERS[0], strides=(2, 1), padding=((1, 0), (2, 1)), **more):
    return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=order, **more)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dilations", [{}, {"rhs_dilation": (1, 2)}, {"lhs_dilation": (2, 3)}], ids=str)
def test_of_every_kind(order, dilations):
    check_clear(functools.partial(convolved, order=order, **dilations), *arguments_of(order))


def network(params, x):
    """A convolution of a computed value too; the gradient by that is one with gaps, by a turned kernel."""
    first, second = params
    z = convolved(first, x)
    return jnp.mean(convolved(second, z * z + z, strides=(1, 2), padding="SAME") ** 2)


def test_gradients_of_two_layers():
    params = encrypted((2, 3, 2, 3), None, -0.5, 0.5), encrypted((2, 2, 3, 2), None, -0.5, 0.5)
    check_clear(
        lambda first, second, x: jax.grad(network)((first, second), x), *params, encrypted((3, 4, 4, 2))
    )


@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
def test_a_convolution_and_its_gradient_read_the_same_patches(strides):
    """Also where rows are left over, which no window reads."""

    def loss(kernel, x):
        return jnp.mean(convolved(kernel, x, strides=strides, padding="VALID") ** 2)

    graph = tensors_of(jax.grad(loss), *arguments_of(ORDERS[0]))
    live = [graph.operations[number] for number in live_operations(graph)]
    patches = [operation for operation in live if isinstance(operation, Patches)]
    assert len(patches) == sum(isinstance(operation, Contraction) for operation in live) == 2
    assert patches[0].windows == patches[1].windows
    assert patches[0].order[2:] == patches[1].order[2:]


@pytest.mark.parametrize("order", ORDERS)
def test_the_gradient_of_windows_side_by_side_has_no_gaps(order):
    """By the image each entry becomes a block, by the kernel as it was before JAX turned it around."""

    def loss(kernel, x):
        z = convolved(kernel, x * x, order, (2, 2), "VALID")
        return jnp.mean(z**2)

    kernel = encrypted(tuple({"H": 2, "W": 2, "I": 2, "O": 3}[c] for c in order[1]), None)
    image = encrypted(tuple({"N": 3, "H": 4, "W": 6, "C": 2}[c] for c in order[0]), order[0].index("N"))
    gradient = jax.grad(loss, argnums=(0, 1))
    check_clear(gradient, kernel, image)
    graph = tensors_of(gradient, kernel, image)
    live = [graph.operations[number] for number in live_operations(graph)]
    assert not any(isinstance(operation, Reversal) for operation in live)
    patches = [operation.windows for operation in live if isinstance(operation, Patches)]
    assert {windows.base_dilation for windows in patches} == {(1, 1)}


def test_refusals_say_what_to_do():
    kernel, image = arguments_of(ORDERS[0])
    halves = encrypted((2, 3, 1, 4), None)
    text = refusals(functools.partial(convolved, feature_group_count=2), halves, image)
    assert "in groups by an encrypted kernel" in text
    text = refusals(lambda k: convolved(k, jnp.ones(image.shape)), kernel)
    assert "encrypt the image too" in text
    turned = encrypted(image.shape, 1)
    assert "slide over the axis of the samples" in refusals(convolved, kernel, turned)
