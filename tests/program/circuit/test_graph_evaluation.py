"""The oracles against decryptions: rounding apart from noise, and noise as predicted."""

import jax.numpy as jnp
import numpy as np
import pytest
from circuits import LOG_DEGREE, compiled, data, linear_square_linear, rows

from fhejax.program.circuit.entries import entries_of
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.ranges import bounds
from fhejax.program.circuit.values import weight_factor

SAMPLES = 2**LOG_DEGREE


@pytest.fixture(scope="module")
def network():
    return compiled(linear_square_linear, rows(4, SAMPLES))


def root_mean_square(values):
    return np.sqrt(np.mean(np.asarray(values, np.float64) ** 2))


def predicted_noise(program, x):
    """The deviation of the noise at the outputs, by injecting that of each node many times."""
    graph, lowered = program.source.graph, program.source.lowered
    entries = [entries_of(x.astype(np.float64), 0, SAMPLES)]
    fixed = evaluate_graph(graph, entries, rounding=lowered.rounding)[-1]
    noisy = [
        evaluate_graph(graph, entries, rounding=lowered.rounding, noise=lowered.noise, seed=s)[-1]
        for s in range(20)
    ]
    return root_mean_square(np.stack(noisy) - fixed)


def test_noise_is_within_half_a_bit_of_its_prediction(network):
    x = data(SAMPLES, 4)
    secret, keys = network.keygen()
    fixed = network.simulate(x).astype(np.float64)
    errors = []
    for _ in range(6):
        result = network(keys, network.encrypt(secret, x))
        errors.append(network.decrypt(secret, result) - fixed)
    found, expected = root_mean_square(errors), predicted_noise(network, x)
    scale = np.abs(network.source.graph.outputs[0].value.multiplier).max()
    assert abs(np.log2(found / (expected * scale))) < 0.5


def test_fixed_point_differs_from_the_clear_by_rounding_alone(network):
    x = data(SAMPLES, 4)
    bits = network.plan.settings.weight_bits
    error = root_mean_square(network.simulate(x) - network.clear(x))
    assert 0 < error < root_mean_square(network.clear(x)) * 2.0 ** (2 - bits)


def test_the_largest_weight_fills_the_bits():
    weights = np.array([0.5, -2.0, 1.0])
    assert weight_factor(weights, 8) * 2 == 255
    assert weight_factor(np.zeros(3), 8) == 1


def test_values_stay_within_their_bounds_at_the_corners():
    """Interval arithmetic holds at the ends of the range, where products are largest."""

    def function(x):
        return (x @ jnp.array([[1.0], [-2.0], [0.5], [0.0]]) + 1) ** 2 * x[:, :1] - x[:, 1:2]

    program = compiled(function, rows(4, 16))
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1)
    graph = program.source.graph
    for limit, values in zip(bounds(graph), evaluate_graph(graph, [corners]), strict=True):
        assert np.abs(values).max() <= limit * (1 + 1e-12)


def test_predicted_precision_is_reached_and_not_wasted(network):
    x = data(SAMPLES, 4)
    secret, keys = network.keygen()
    found = network.decrypt(secret, network(keys, network.encrypt(secret, x)))
    expected = linear_square_linear(x)
    bits = -np.log2(root_mean_square(found - expected) / root_mean_square(expected))
    assert abs(bits - network.plan.predicted_bits) < 1
