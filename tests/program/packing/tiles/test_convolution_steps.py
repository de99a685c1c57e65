"""Training steps of convolutional networks in tiles, in the clear: encrypted images and encrypted kernels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tile_steps import check, circuit_of, key_switches

import fhejax as fhe

RATE = 0.0625
ORDER = ("NHWC", "HWIO", "NHWC")


def convolved(x, kernel, strides=(2, 2), padding="SAME", **more):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=ORDER, **more)


def loss(params, x, y, strides=(2, 2), padding="SAME"):
    """A convolution, z^2 + z, the entries in one row, and a dense layer."""
    (kernel, bias), (weights, last) = params
    z = convolved(x, kernel, strides, padding) + bias[None, None, None]
    hidden = (z * z + z).reshape(len(x), -1)
    return 0.5 * jnp.mean(jnp.sum((hidden @ weights + last[None] - y) ** 2, -1))


def step(params, x, y, **how):
    gradient = jax.grad(functools.partial(loss, **how))(params, x, y)
    return (jax.tree.map(lambda p, g: p - RATE * g, params, gradient),)


def arguments_of(image, kernel, positions, classes=3, batch=6, low=-1):
    own = {"range": (-1, 1), "batch_axis": None}
    shapes = (kernel, kernel[3:]), ((positions * kernel[3], classes), (classes,))
    params = jax.tree.map(
        lambda shape: fhe.Encrypted(shape, **own), shapes, is_leaf=lambda s: isinstance(s[0], int)
    )
    return (
        params,
        fhe.Encrypted((batch, *image), range=(low, 1)),
        fhe.Encrypted((batch, classes), range=(0, 1)),
    )


NETWORKS = {
    "padding beyond the ends": ((8, 8, 1), (3, 3, 1, 4), 16, (2, 2), "SAME"),
    "padding at both ends": ((8, 8, 1), (4, 4, 1, 2), 16, (2, 2), ((1, 1), (1, 1))),
    "windows side by side": ((4, 4, 2), (2, 2, 2, 2), 4, (2, 2), "VALID"),
    "channels": ((4, 4, 3), (3, 3, 3, 4), 4, (2, 2), "SAME"),
    "a step of one": ((5, 5, 1), (2, 2, 1, 2), 16, (1, 1), "VALID"),
    "other steps": ((8, 5, 1), (3, 2, 1, 2), 16, (2, 1), ((1, 0), (0, 0))),
    "three rows of positions": ((6, 8, 1), (2, 4, 1, 2), 12, (2, 2), ((0, 0), (1, 1))),
    "positions that are no power of two": ((6, 6, 1), (2, 2, 1, 3), 9, (2, 2), "VALID"),
    "one map": ((8, 4, 1), (3, 3, 1, 1), 8, (2, 2), "SAME"),
}


@pytest.mark.parametrize("slots", [512, 8192])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_in_any_ring(name, slots):
    image, kernel, positions, strides, padding = NETWORKS[name]
    described = arguments_of(image, kernel, positions)
    check(functools.partial(step, strides=strides, padding=padding), described, slots, carry=(0,))


def test_padding_is_zero_whatever_the_range():
    """What is encrypted is the distance from the middle of the range, which padding does not have."""
    check(step, arguments_of((8, 8, 1), (3, 3, 1, 2), 16, batch=33, low=0), 1024, carry=(0,))


def test_two_steps_with_what_is_carried():
    described = arguments_of((8, 4, 1), (3, 3, 1, 2), 8)

    def twice(params, first, second):
        return step(*step(params, *first), *second)

    check(twice, (described[0], described[1:], described[1:]), 1024, carry=(0,))


def kept_apart(params, x, y):
    """Positions that are no power of two, contracted over without being joined; and two dense layers."""
    (kernel, weights), last = params
    z = convolved(x, kernel)
    hidden = jnp.einsum("bpqc,pqch->bh", z * z, weights)
    return jnp.mean(jnp.sum((hidden * hidden @ last - y) ** 2, -1))


def averaged(params, x, y):
    """The mean over all positions."""
    kernel, weights = params
    z = convolved(x, kernel)
    return jnp.mean(jnp.sum(((z * z).mean((1, 2)) @ weights - y) ** 2, -1))


def shared(*shape):
    return fhe.Encrypted(shape, batch_axis=None)


KERNEL = shared(3, 3, 1, 2)


def deeper(params, x, y):
    """A convolution of a computed value, whose windows lie side by side."""
    (kernel, second), weights = params
    z = convolved(x, kernel)
    z = convolved(z * z + z, second, (1, 3), "VALID")
    return jnp.mean(jnp.sum(((z * z + z).reshape(len(x), -1) @ weights - y) ** 2, -1))


OTHERS = {
    "kept apart": (kept_apart, ((KERNEL, shared(3, 3, 2, 5)), shared(5, 3))),
    "deeper": (deeper, ((shared(2, 3, 1, 2), shared(1, 3, 2, 3)), shared(9, 3))),
    "averaged": (averaged, (KERNEL, shared(2, 3))),
}


@pytest.mark.parametrize("slots", [1024, 8192])
@pytest.mark.parametrize("name", OTHERS)
def test_other_networks(name, slots):
    loss, params = OTHERS[name]
    check(jax.value_and_grad(loss), (params, fhe.Encrypted((6, 5, 6, 1)), fhe.Encrypted((6, 3))), slots)


def test_a_convolution_of_one_dimension():
    def loss(kernel, x):
        z = jax.lax.conv_general_dilated(x, kernel, (2,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))
        return jnp.mean(z**2)

    check(jax.value_and_grad(loss), (shared(3, 2, 4), fhe.Encrypted((6, 7, 2))), 256)


def test_the_positions_of_a_kernel_and_its_taps_trade_places_in_the_gradient():
    """Both read one argument, which comes as patches: four ciphertexts where the network's slots are full."""
    graph = circuit_of(
        step, arguments_of((8, 8, 1), (3, 3, 1, 4), 16, classes=10, batch=64), 2**15, carry=(0,)
    )
    assert graph.layouts[4].ciphertext_count == 4
    assert key_switches(graph) < 200


IMAGES = fhe.Encrypted((6, 8, 8, 1))
REFUSED = {
    "hidden": (
        lambda k, x: convolved(convolved(x, k), k),
        "a convolution of a computed value by an encrypted kernel",
    ),
    "other windows": (lambda k, x: (convolved(x, k), convolved(x, k, (1, 1))), "another size or stride"),
    "read elsewhere": (lambda k, x: (convolved(x, k), x * x), "pass them as two arguments"),
    "groups": (lambda k, x: convolved(jnp.tile(x, 2), jnp.tile(k, 2), feature_group_count=2), "groups"),
    "plain image": (lambda k, x: convolved(np.ones((1, 8, 8, 1)), k) * x.sum(), "encrypt the image too"),
    "gaps": (lambda k, x: convolved(x, k, padding=((0, 0), (0, 0)), lhs_dilation=(2, 2)), "images with gaps"),
    "unread rows": (lambda k, x: convolved(x, k, (5, 5), "VALID"), "no window reads"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_what_to_do(name):
    function, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        circuit_of(function, (shared(3, 3, 1, 1), IMAGES), 1024)
