"""A deep network of one sample in several ciphertexts, bootstrapped in a small insecure ring."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.program.circuit.nodes import Bootstrap

SHAPE = (1, 4, 4, 2)
BLOCKS = 3


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))


def convolved(x, kernel):
    order = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=order)


def deep(x):
    """Activations in a row, of values that fill three ciphertexts."""
    for number in range(BLOCKS):
        x = convolved(x, weights(3, 3, x.shape[-1], 3, seed=number))
        x = np.float32(0.4) * jnp.square(x + np.float32(0.6))
    return x


def images(count):
    return np.random.default_rng(2).uniform(-1, 1, (count, *SHAPE[1:])).astype(np.float32)


@functools.cache
def program():
    options = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    parameters = BootstrappingParameters.for_levels(3, degree=64, slots=16, insecure=True, options=options)
    return fhejax.compile(
        deep,
        fhejax.Encrypted(SHAPE),
        packing="multiplexed",
        precision_bits=5,
        sample=images(4),
        margin=2.0,
        bootstrapping=parameters,
        insecure=True,
        device="cpu",
    )


def test_values_of_several_ciphertexts_are_bootstrapped_in_pairs_made_real():
    found = program()
    bootstraps = [node for node in found.source.graph.nodes if isinstance(node, Bootstrap)]
    assert bootstraps and {node.size for node in bootstraps} == {3}
    assert found.plan.bootstraps == 2 * len(bootstraps)
    steps = found.plan.steps
    before = [steps[step.sources[0]].operation for step in steps if step.operation == "bootstrap"]
    assert before == ["real_part"] * len(bootstraps)
    assert "conjugate" in dict(found.plan.manifest.levels)
    x = images(1)
    np.testing.assert_allclose(found.clear(x), deep(x), atol=1e-5)


@pytest.mark.nightly
def test_it_runs_encrypted_as_predicted():
    found, x = program(), images(1)
    fixed, errors = found.simulate(x), []
    secret, keys = found.keygen()
    for _ in range(2):
        errors.append(found.decrypt(secret, found(keys, found.encrypt(secret, x))) - fixed)
    error = np.sqrt(np.mean(np.square(errors)))
    assert 1 / 16 < error / found.plan.predicted_noise[0] < 2  # a bound of the bootstrap's own error is in it
