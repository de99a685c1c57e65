"""Plain arguments: whatever values of their ranges a call has, nothing overflows or is refused for that."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.program.circuit.ranges import bounds
from fhejax.program.levels.plain_ranges import bounds_for_all
from fhejax.program.specialisation import graph_with_plain, graphs_of_other_values, specialise

SMALL = {"precision_bits": 8, "insecure_log_degree": 5, "bootstrapping": False}
ROWS = 24


def polynomial(x, c):
    return c[:, :1] + c[:, 1:2] * x + c[:, 2:3] * x**2


def perceptron(x, w, b):
    return jnp.square(x @ w + b) @ w


CASES = {
    "a sum whose terms may all have one sign": (lambda x, w: x @ w, (2e9, 6e9), [(2, 1)]),
    "a polynomial of one-sided numbers": (polynomial, (0, 300.0), [(1, 3)]),
    "a polynomial of tiny numbers": (polynomial, (-4e-9, 4e-9), [(1, 3)]),
    "a square after a shift": (lambda x, w, b: (x * w + b) ** 2, (-1, 1), [(1, 2), (1, 2)]),
    "a square of a square after a shift": (
        lambda x, w, b: ((x * w + b) ** 2 + b) ** 2,
        (-9, 0),
        [(1, 2)] * 2,
    ),
    "a product of two shifted": (lambda x, w, b: (x * w + b) * (x * b + w), (-1, 2), [(1, 2), (1, 2)]),
    "a mean of what is shifted": (lambda x, w, b: (x * w + b).mean(0), (-1, 1), [(1, 2), (1, 2)]),
    "two layers": (perceptron, (0, 1), [(2, 2), (1, 2)]),
    "a matrix made of an argument": (lambda x, k: x @ (k.T @ k), (0, 3), [(1, 2)]),
}
FILLS = {
    "highest": lambda generator, shape: np.ones(shape),
    "lowest": lambda generator, shape: -np.ones(shape),
    "alternating": lambda generator, shape: np.resize([1.0, -1.0], shape),
    "any": lambda generator, shape: generator.uniform(-1, 1, shape),
    "tiny": lambda generator, shape: 1e-4 * generator.uniform(0.5, 1, shape),
}


def compiled(name):
    function, ends, shapes = CASES[name]
    plain = [fhejax.Plain(shape, (-2, 2)) for shape in shapes]
    return fhejax.compile(function, fhejax.Encrypted((ROWS, 2), ends), *plain, **SMALL)


@pytest.mark.parametrize(("name", "fill"), list(itertools.product(CASES, FILLS)))
def test_no_value_within_its_range_is_refused_for_overflow(name, fill):
    program, (_, ends, shapes) = compiled(name), CASES[name]
    generator = np.random.default_rng(0)
    x = generator.uniform(ends[0], ends[1], (ROWS, 2))
    plain = [2 * FILLS[fill](generator, shape) for shape in shapes]
    try:
        found = program.simulate(x, *plain)
    except ValueError as error:
        assert "bits of precision" in str(error)  # such as of a result that is zero but for rounding
        assert fill in ("tiny", "alternating", "any")
        return
    exact = program.clear(x, *plain)
    assert np.sqrt(np.mean((found - exact) ** 2)) <= 2.0**-7 * np.sqrt(np.mean(exact**2))


def test_a_tiny_factor_below_a_shift_is_no_refusal():
    program = compiled("a square after a shift")
    x, w, b = np.linspace(-1, 1, 2 * ROWS).reshape(ROWS, 2), np.full((1, 2), 1e-9), np.ones((1, 2))
    np.testing.assert_allclose(program.simulate(x, w, b), np.ones((ROWS, 2)), rtol=2.0**-8)
    np.testing.assert_allclose(program.simulate(x, 0 * w, b), np.ones((ROWS, 2)), rtol=2.0**-8)


@pytest.mark.parametrize("name", CASES)
def test_bounds_for_all_values_hold_for_each(name):
    program, shapes = compiled(name), CASES[name][2]
    source = program.source
    limits = bounds_for_all(
        [source.graph, *graphs_of_other_values(source.traced, source.packing, source.graph)]
    )
    generator = np.random.default_rng(1)
    for _ in range(10):
        graph = graph_with_plain(source, [generator.choice([-2.0, 0.5, 2.0], shape) for shape in shapes])
        assert [type(node) for node in graph.nodes] == [type(node) for node in source.graph.nodes]
        assert (np.array(bounds(graph)) <= 1.01 * np.array(limits)).all()


def test_what_is_largest_within_the_range_is_computed_with_fewer_bits_or_refused_in_words():
    program = fhejax.compile(
        lambda x, w: x * jnp.exp(-((8 * w) ** 2)) * 100,
        fhejax.Encrypted((ROWS, 2)),
        fhejax.Plain((1, 2), (-1, 1)),
        **SMALL,
    )
    x, w = np.ones((ROWS, 2)), np.array([[0.0, 0.01]])
    try:
        np.testing.assert_allclose(program.simulate(x, w), program.clear(x, w), rtol=2.0**-5)
    except ValueError as error:
        assert "larger within their ranges than at the ends" in str(error)


def test_a_call_with_the_same_values_is_not_lowered_again():
    program, generator = compiled("two layers"), np.random.default_rng(0)
    first, other = ([generator.uniform(-2, 2, shape) for shape in CASES["two layers"][2]] for _ in range(2))
    circuit = specialise(program.plan, program.source, first)
    again = [values.copy() for values in first]
    assert specialise(program.plan, program.source, again) is circuit
    for values in first:
        values += 1e-3  # what the caller does with its arrays later is no matter
    assert specialise(program.plan, program.source, again) is circuit
    assert specialise(program.plan, program.source, other) is not circuit
    assert specialise(program.plan, program.source, [v.astype(np.float32) for v in other]) is not circuit
