"""Units of nodes: values of any size are computed by numbers about one, and none are refused for that."""

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.program.circuit.ranges import bounds
from fhejax.program.packing.sample_per_slot.units import common_unit, unit_of_weights

SMALL = {"precision_bits": 8, "insecure_log_degree": 5, "bootstrapping": False}
GAMMA = np.array([[2e-6, 0.5]])


def concatenated(x, y):
    return jnp.concatenate([x * x, y], 1) @ np.array([2e-10, 4e-10, 3e-5, 2e-5])[:, None]


FUNCTIONS = {
    "square of a square of a square": (lambda x: ((x**2) ** 2) ** 2, [(-5e11, 5e11)]),
    "product of squares and a mean": (lambda x: ((x * x * x) ** 2).mean(0), [(-3e11, 3e11)]),
    "cube of small numbers beside their middle": (lambda x: x**2 * x, [(-6.2e-8, -5.2e-8)]),
    "product of large and small numbers": (lambda x, y: y * x**2, [(-2e-7, 2e-7), (0, 4e5)]),
    "large squares beside small numbers": (concatenated, [(0, 5e4), (-3e4, 3e4)]),
    "a channel of nearly no size": (lambda x: (x * 1e5 * GAMMA + 0.7) ** 3 + x * 1e5, [(-1.5e-5, -1.3e-5)]),
    "squares of large weights": (lambda x: (x @ np.full((2, 2), 1e9) * 1e-9) ** 4, [(-1, 1)]),
    "polynomial of large coefficients": (lambda x: (3e9 * x**3 - 2e9 * x) ** 2, [(-1, 1)]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_of_any_size_are_computed_by_numbers_about_one(name):
    function, ranges = FUNCTIONS[name]
    arguments = [fhejax.Encrypted((24, 2), ends) for ends in ranges]
    program = fhejax.compile(function, *arguments, **SMALL)
    generator = np.random.default_rng(0)
    data = [generator.uniform(*ends, (24, 2)) for ends in ranges]
    exact, found = program.clear(*data), program.simulate(*data)
    assert max(bounds(program.source.graph)) < 2**15
    assert np.sqrt(np.mean((found - exact) ** 2)) < 2.0**-8 * np.sqrt(np.mean(exact**2))


def test_a_unit_is_a_power_of_two_for_all_entries_unless_they_differ_much():
    np.testing.assert_array_equal(common_unit(np.array([3.0, 5.0, 0.0])), [8, 8, 8])
    np.testing.assert_array_equal(common_unit(np.array([3.0, 1e-3, np.inf])), [4, 2.0**-9, 4])
    np.testing.assert_array_equal(common_unit(np.zeros(2)), [1, 1])


@pytest.mark.parametrize(("largest", "unit"), [(3.0, 1), (0, 1), (1000, 1), (5e3, 8192), (3e-5, 2.0**-15)])
def test_weights_far_from_one_have_a_unit(largest, unit):
    assert unit_of_weights(np.array([0.0, -largest])) == unit
