"""Bootstraps that the planner puts in: their places, and whole programs in small insecure rings."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_carry import SLOTS, parameters

import fhejax as fhe
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingOptions
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.graph import Graph, Output
from fhejax.program.circuit.nodes import Bootstrap, Combine, ElementwiseSquare, Input
from fhejax.program.circuit.views import View
from fhejax.program.levels.bootstrap_placement import Cut, place_bootstraps, with_bootstraps


def graph_of(nodes: list) -> Graph:
    """A graph whose last node is its result."""
    size = nodes[-1].size
    last = View(len(nodes) - 1, np.arange(size), np.ones(size), np.zeros(size), 0, SLOTS)
    output = Output(last, (SLOTS, size), np.dtype(np.float32))
    return Graph(tuple(nodes), (output,), (fhe.Encrypted((SLOTS, nodes[0].size)),), None, None, SLOTS)


def chain(sizes: list[int]) -> Graph:
    """Squares one after the other; sizes are only what the search counts."""
    nodes = [Input(0, sizes[0], -1.0, 1.0, "x")]
    nodes += [ElementwiseSquare(i, None, size, f"{i}") for i, size in enumerate(sizes[1:])]
    return graph_of(nodes)


def cheapest(sizes: list[int], between: int, last: int) -> float:
    """By trying every set of places in a chain: node k is at depth k."""
    best = math.inf
    for count in range(len(sizes)):
        for places in itertools.combinations(range(1, len(sizes) - 1), count):
            ends = [0, *places]
            steps = [b - a for a, b in itertools.pairwise(ends)]
            if all(s <= between for s in steps) and len(sizes) - 1 - ends[-1] <= last:
                best = min(best, sum(sizes[p] for p in places))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_places_of_a_chain_are_the_cheapest(seed):
    generator = np.random.default_rng(seed)
    sizes = [int(s) for s in generator.integers(1, 20, 11)]
    graph = chain(sizes)
    spent = dict.fromkeys(range(1, 11), 1.0) | {0: 0.0}
    cuts = place_bootstraps(graph, spent, 3, 4)
    assert sum(graph.nodes[v].size for cut in cuts for v in cut.values) == cheapest(sizes, 3, 4)


def test_a_skip_connection_is_bootstrapped_where_it_is_crossed_unless_it_is_fresh():
    nodes = [Input(0, 2, -1.0, 1.0, "x")]
    nodes += [ElementwiseSquare(i, None, 2, "s") for i in range(6)]
    from_input = graph_of([*nodes, Combine((6, 0), (None, None), 2, "sum")])
    from_square = graph_of([*nodes, Combine((6, 1), (None, None), 2, "sum")])
    spent = {0: 0.0, 7: 0.0} | dict.fromkeys(range(1, 7), 1.0)
    assert [cut.values for cut in place_bootstraps(from_input, spent, 3, 3)] == [(3,)]
    (cut,) = place_bootstraps(from_square, spent, 3, 3)
    assert cut.values == (1, 3)


def test_no_place_where_one_node_takes_too_much():
    assert place_bootstraps(chain([1, 1, 1]), {0: 0.0, 1: 1.0, 2: 5.0}, 3, 3) is None


def test_the_graph_with_bootstraps_has_the_same_values():
    graph = chain([2, 2, 2, 2])
    planned = with_bootstraps(graph, (Cut(2, (1,)), Cut(3, (2,))))
    assert sum(isinstance(node, Bootstrap) for node in planned.nodes) == 2
    values = np.random.default_rng(0).uniform(-1, 1, (2, 5))
    np.testing.assert_array_equal(evaluate_graph(graph, [values])[-1], evaluate_graph(planned, [values])[-1])


def deep(x: jax.Array) -> jax.Array:
    """Thirteen squares in a row, and what was there before."""
    first = x
    for _ in range(13):
        x = x * x - 0.5
    return x + 0.25 * first * first


@functools.cache
def program() -> fhe.Program:
    shape = fhe.Encrypted((SLOTS, 3), range=(-1, 1))
    return fhe.compile(deep, shape, insecure_log_degree=6, bootstrapping=parameters())


@functools.cache
def keys():
    return program().keygen()


def test_a_deep_function_runs_within_the_predicted_error():
    secret, evaluation = keys()
    x = np.random.default_rng(1).uniform(-1, 1, (SLOTS, 3)).astype(np.float32)
    result = program().decrypt(secret, program()(evaluation, program().encrypt(secret, x)))
    error = np.sqrt(np.mean((result - program().clear(x)) ** 2))
    assert program().plan.bootstraps >= 4  # three entries go in two bootstraps
    assert 0 < error < 2 * program().plan.predicted_errors[0]
    np.testing.assert_allclose(result, deep(jnp.asarray(x)), atol=20 * program().plan.predicted_errors[0])


def test_the_report_says_where_and_how_often():
    text = program().report()
    steps = program().plan.steps
    places = [n for n, step in enumerate(steps) if step.operation == "bootstrap"]
    assert f"bootstraps    {program().plan.bootstraps}, up to two ciphertexts in each" in text
    assert all(f"3 before step {n + 1}" in text for n in places)
    assert all(steps[n].level == parameters().output_level for n in places)
    assert all(steps[steps[n].sources[0]].level == parameters().input_level for n in places)


def test_each_layer_is_verified():
    x = np.random.default_rng(2).uniform(-1, 1, (SLOTS, 3)).astype(np.float32)
    found = program().verify(x)
    assert "bootstrap" in {layer.operation for layer in found.layers}
    assert found.bits > 10


def test_without_bootstraps_the_same_function_is_too_deep():
    shape = fhe.Encrypted((SLOTS, 3), range=(-1, 1))

    def deeper(x):
        for _ in range(80):
            x = x * x - 0.5
        return x

    with pytest.raises(fhe.TooDeepError, match="in a row"):
        fhe.compile(deeper, shape, bootstrapping=False)


def test_other_keys_are_refused():
    secret, evaluation = keys()
    argument = program().encrypt(secret, np.zeros((SLOTS, 3), np.float32))
    with pytest.raises(TypeError, match="it needs the BootstrappingKeys"):
        program()(evaluation.evaluation, argument)
    missing = fhe.ckks.bootstrapping.BootstrappingKeys(evaluation.circuit)
    with pytest.raises(TypeError, match="it needs the BootstrappingKeys"):
        program()(missing, argument)


def test_precision_beyond_a_bootstrap_is_refused():
    with pytest.raises(fhe.TooDeepError, match="bits at best"):
        fhe.compile(
            deep,
            fhe.Encrypted((SLOTS, 3), range=(-1, 1)),
            insecure_log_degree=6,
            bootstrapping=parameters(),
            precision_bits=40,
        )


@pytest.mark.nightly
def test_training_steps_go_on_beyond_the_depth():
    """Weights are encrypted, alike in all slots; sums over the batch rotate with keys of the same bundle."""
    generator = np.random.default_rng(0)
    x = generator.uniform(-1, 1, (SLOTS, 2)).astype(np.float32)
    y = (x @ np.array([0.4, -0.3])).astype(np.float32)
    start = np.zeros(2, np.float32)

    def train(w, x, y):
        for _ in range(4):
            w = w - 0.5 * jax.grad(lambda w: jnp.mean((x @ w - y) ** 2))(w)
        return w

    described = (fhe.Encrypted((2,), batch_axis=None), fhe.Encrypted((SLOTS, 2)), fhe.Encrypted((SLOTS,)))
    training = fhe.compile(
        train,
        *described,
        insecure_log_degree=6,
        bootstrapping=parameters(),
        sample=(start, x, y),
        margin=4,
        precision_bits=5,
    )
    secret, evaluation = training.keygen()
    found = training.decrypt(secret, training(evaluation, *training.encrypt(secret, start, x, y)))
    assert training.plan.bootstraps >= 2
    np.testing.assert_allclose(found, train(start, x, y), atol=4 * training.plan.predicted_errors[0] + 1e-6)


def test_parameters_without_a_level_between_bootstraps_are_refused():
    described = fhe.Encrypted((SLOTS, 1), range=(-1, 1))
    options = BootstrappingOptions(hamming_weight=4)
    none = BootstrappingParameters.for_levels(0, degree=64, slots=SLOTS, insecure=True, options=options)
    with pytest.raises(fhe.TooDeepError, match="no places for bootstraps"):
        fhe.compile(deep, described, insecure_log_degree=6, bootstrapping=none)


def test_insecure_parameters_take_the_argument_and_are_named():
    described = fhe.Encrypted((SLOTS, 3), range=(-1, 1))
    with pytest.raises(fhe.ckks.SecurityError, match="reach 0 bits"):
        fhe.compile(deep, described, bootstrapping=parameters())
    found = fhe.compile(deep, described, bootstrapping=parameters(), insecure=True)
    assert found.plan.security == 0
    assert "security      INSECURE, for tests only" in found.report()
    assert found.plan.params == program().plan.params
