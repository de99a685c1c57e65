"""Residual networks in the packing of one sample: deep, strided, with an activation of its own a channel."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax import approx
from fhejax.program.circuit.nodes import SlotTransform

SMALL = {"packing": "multiplexed", "insecure_log_degree": 10, "bootstrapping": False, "margin": 2.0}
SHAPE = (1, 8, 8, 3)


def convolved(x, kernel, stride=1):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride,) * 2, ((1, 1),) * 2, dimension_numbers=dimensions)


def quadratic(generator, channels):
    """A quadratic for each channel, of the sizes that trained ones have."""
    coefficients = [generator.normal(0, 0.3, channels), generator.uniform(0.3, 1, channels)]
    coefficients.append(generator.uniform(0.01, 0.4, channels))
    return approx.Polynomial.from_monomial(np.stack(coefficients, -1), (-6.0, 6.0))


@functools.cache
def network():
    """Two blocks after a convolution, of which the second halves the image and has twice the channels."""
    generator = np.random.default_rng(1)

    def kernel(before, after):
        spread = 1 / np.sqrt(9 * before)
        return generator.normal(0, spread, (3, 3, before, after)).astype(np.float32)

    shapes = [(3, 4), (4, 4), (4, 4), (4, 8), (8, 8)]
    kernels, activations = zip(*((kernel(*s), quadratic(generator, s[1])) for s in shapes), strict=True)
    dense = generator.normal(0, 0.3, (8, 5)).astype(np.float32)

    def predict(images):
        x = activations[0](convolved(images, kernels[0]))
        h = convolved(activations[1](convolved(x, kernels[1])), kernels[2])
        x = activations[2](h + x)
        h = convolved(activations[3](convolved(x, kernels[3], 2)), kernels[4])
        shortcut = jnp.pad(x[:, ::2, ::2], ((0, 0),) * 3 + ((2, 2),))
        return activations[4](h + shortcut).mean((1, 2)) @ dense

    return predict


def images(count):
    return np.random.default_rng(2).uniform(-1, 1, (count, *SHAPE[1:]))


@functools.cache
def program():
    return fhejax.compile(network(), fhejax.Encrypted(SHAPE), sample=images(6), precision_bits=8, **SMALL)


@pytest.mark.nightly
def test_a_residual_network_runs_encrypted_as_predicted():
    compiled, image = program(), images(8)[-1:]
    secret, keys = compiled.keygen()
    found = compiled.decrypt(secret, compiled(keys, compiled.encrypt(secret, image)))
    np.testing.assert_allclose(compiled.clear(image), network()(image), atol=1e-4)
    error = np.sqrt(np.mean((found - compiled.clear(image)) ** 2))
    assert error < 4 * compiled.plan.predicted_errors[0]
    assert compiled.plan.depth == 5


def test_rounded_diagonals_leave_the_error_that_is_predicted():
    compiled, seen = program(), images(40)[8:]
    errors = compiled.simulate(seen) - compiled.clear(seen)
    plan = compiled.plan
    predicted = np.sqrt(plan.predicted_errors[0] ** 2 - plan.predicted_noise[0] ** 2)
    assert abs(np.log2(np.sqrt(np.mean(np.square(errors))) / predicted)) < 0.5


def test_values_of_every_layer_are_about_one():
    graph = program().source.graph
    transforms = [node for node in graph.nodes if isinstance(node, SlotTransform)]
    assert len(transforms) == 6 and all(node.matrices[0].largest < 2**6 for node in transforms)
    limits = [limit for limit in program().source.limits if limit]
    assert min(limits) > 2**-6 and max(limits) < 2**8


def test_strides_leave_no_more_diagonals_than_taps_and_channels():
    """A convolution of stride 2 reads 9 taps and the channels beside each other, also at the border."""
    graph = program().source.graph
    counts = [[len(m.distances) for m in n.matrices] for n in graph.nodes if isinstance(n, SlotTransform)]
    assert all(count <= 9 * 16 for counts_of_node in counts for count in counts_of_node)


def test_a_sample_and_what_is_simulated_may_have_more_images_than_a_call():
    compiled, seen = program(), images(6)
    assert compiled.source.sample[0].shape == (192, 6)
    exact, noisy = compiled.clear(seen), compiled.simulate(seen, seed=1)
    np.testing.assert_allclose(exact, np.concatenate([network()(one[None]) for one in seen]), atol=1e-4)
    noise = np.sqrt(np.mean((noisy - compiled.simulate(seen)) ** 2))
    assert abs(np.log2(noise / compiled.plan.predicted_noise[0])) < 1
    secret, _ = compiled.keygen()
    with pytest.raises(ValueError, match="planned for 1 to 1"):
        compiled.encrypt(secret, seen)
