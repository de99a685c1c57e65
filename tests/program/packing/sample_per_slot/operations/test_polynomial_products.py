"""Polynomials in a program: the products of `ckks`'s plan, the values of NumPy's, and once encrypted."""

import jax
import numpy as np
import pytest
from circuits import relative_bits
from numpy.polynomial.chebyshev import chebval
from small_programs import run, small

import fhejax
from fhejax import approx
from fhejax.ckks.polynomial.product_plan import depth_of_support, plan_evaluation
from fhejax.program.arguments import describe
from fhejax.program.circuit.entries import result_of, sample_entries
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import depth, live_nodes
from fhejax.program.circuit.nodes import ElementwiseProduct, ElementwiseSquare, Gather
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.trace import trace

SAMPLES, FEATURES = 8, 3
KINDS = {"dense": (0, 1), "odd": (1, 2), "even": (0, 2)}
CASES = [
    (kind, degree)
    for kind, (start, step) in KINDS.items()
    for degree in range(2, 64)
    if (degree - start) % step == 0
]


def coefficients_of(kind, degree, *channels):
    start, step = KINDS[kind]
    drawn = np.random.default_rng(degree).uniform(0.25, 1, (*channels, degree + 1))
    signs = np.where(np.arange(degree + 1) % 3 == 1, -1, 1)
    keep = (np.arange(degree + 1) - start) % step == 0
    return (drawn * signs * keep).astype(np.float32).astype(np.float64)  # as the traced function has them


def graph_of(coefficients, interval=(-1.0, 1.0)):
    polynomial = approx.Polynomial.from_chebyshev(coefficients, interval)
    described = [describe(fhejax.Encrypted((SAMPLES, FEATURES), range=interval))]
    return to_circuit(trace(polynomial, described, jax.tree.structure((0,)), SAMPLES, []))


def evaluated(graph, x):
    return result_of(graph.outputs[0], evaluate_graph(graph, sample_entries(graph.arguments, [x])))


def products_of(graph):
    live = [graph.nodes[n] for n in live_nodes(graph)]
    return sum(isinstance(node, ElementwiseProduct | ElementwiseSquare) for node in live)


def expected_plan(coefficients):
    support = sum(1 << k for k, c in enumerate(coefficients) if c)
    return plan_evaluation((support,), depth_of_support([support]), True)


def points(low=-1.0, high=1.0):
    return np.random.default_rng(0).uniform(low, high, (SAMPLES, FEATURES))


@pytest.mark.parametrize(("kind", "degree"), CASES)
def test_products_are_those_of_the_plan(kind, degree):
    coefficients = coefficients_of(kind, degree)
    graph, plan = graph_of(coefficients), expected_plan(coefficients)
    assert products_of(graph) == plan.products
    assert depth(graph) <= plan.depth
    x = points()
    assert np.abs(evaluated(graph, x) - chebval(x, coefficients)).max() < 1e-9


def test_degree_31_takes_13_products():
    assert products_of(graph_of(coefficients_of("dense", 31))) == 13


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (-1e-3, 1e-3), (100.0, 1e6)])
def test_the_interval_is_mapped(low, high):
    coefficients, x = coefficients_of("dense", 11), points(low, high)
    t = (2 * x - (high + low)) / (high - low)
    found = evaluated(graph_of(coefficients, (low, high)), x)
    assert np.abs(found - chebval(t, coefficients)).max() < 1e-6


CHANNELS = {
    "random": coefficients_of("dense", 9, FEATURES),
    "of other degrees": np.tril(coefficients_of("dense", 9, 10))[[9, 6, 3]],
    "one constant": np.where([[0], [1], [0]], np.eye(1, 10), coefficients_of("dense", 9, FEATURES)),
    "odd, even, both": np.stack([coefficients_of(kind, 9) for kind in KINDS]),
    "of other sizes": coefficients_of("dense", 9, FEATURES) * np.array([[2.0**-27], [1], [2.0**27]]),
}


@pytest.mark.parametrize("name", CHANNELS)
def test_each_channel_has_its_own_polynomial(name):
    coefficients, x = CHANNELS[name], points()
    graph = graph_of(coefficients)
    expected = np.stack([chebval(x[:, c], coefficients[c]) for c in range(FEATURES)], 1)
    assert (np.abs(evaluated(graph, x) - expected).max(0) <= 1e-12 * np.abs(coefficients).max(1) * 512).all()
    assert products_of(graph) <= expected_plan(np.abs(coefficients).max(0)).products
    assert not any(isinstance(node, Gather) for node in graph.nodes)


def test_coefficients_below_the_rounding_of_the_largest_are_zero():
    coefficients = coefficients_of("odd", 15)
    noise = np.where(coefficients == 0, 1e-17, coefficients)
    assert products_of(graph_of(noise)) == products_of(graph_of(coefficients))


def test_a_quotient_with_a_large_constant_shifts_no_ciphertext_far():
    """2 c_3 T_1 + c_2 times T_2: the constant is c_2 / (2 c_3) = 65,536 times the ciphertext."""
    coefficients, x = np.array([0, 1, 1, 2.0**-17]), points()
    graph = graph_of(coefficients)
    shifts = [s for n in graph.nodes if isinstance(n, ElementwiseProduct) for s in n.shifts if s is not None]
    assert all(np.abs(shift).max() <= 64 for shift in shifts)
    assert np.abs(evaluated(graph, x) - chebval(x, coefficients)).max() < 1e-12


@pytest.mark.parametrize("degree", range(2, 40))
def test_coefficients_that_a_division_cancels(degree):
    """With all coefficients equal, quotients and remainders lose terms that the plan has."""
    coefficients, x = np.ones(degree + 1), points()
    graph = graph_of(coefficients)
    assert np.abs(evaluated(graph, x) - chebval(x, coefficients)).max() < 1e-9
    assert products_of(graph) <= expected_plan(coefficients).products


def test_encrypted_with_a_degree_for_each_channel():
    coefficients = CHANNELS["of other degrees"][:, :8] / 8
    polynomial = approx.Polynomial.from_chebyshev(coefficients, (-2.0, 2.0))
    program = small(polynomial, fhejax.Encrypted((SAMPLES, FEATURES), range=(-2, 2)))
    x = points(-2.0, 2.0)
    expected = np.stack([chebval(x[:, c] / 2, coefficients[c]) for c in range(FEATURES)], 1)
    bits = np.array([relative_bits(run(program, *program.keygen(), x), expected) for _ in range(16)])
    # One secret of this small ring may err twice as much as predicted; the mean square of 16 does not.
    assert -np.log2(np.mean(4.0**-bits)) / 2 > program.plan.predicted_bits - 0.75
