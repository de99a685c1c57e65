"""Training steps with samples on top, by diagonals: the same results, in fewer key switches."""

import jax.numpy as jnp
import pytest
from tile_steps import arguments_of, check, circuit_of, key_switches, step

import fhejax as fhe
from fhejax.program.circuit.nodes import SteppedSum
from fhejax.program.levels.carry import with_carry
from fhejax.program.packing.tiles import to_circuit
from fhejax.program.packing.tiles.diagonals import choice_of


@pytest.fixture
def chosen(monkeypatch):
    """The diagonals' choices, which are taken wherever there are any."""
    found = []

    def noted(*arguments):
        found.append(choice_of(*arguments))
        return found[-1]

    monkeypatch.setattr(to_circuit, "choice_of", noted)
    monkeypatch.setattr(to_circuit, "key_switches", lambda *_: 10**6)
    return found


NETWORKS = {
    "one block": ((8, 8, 4), 32, 256),
    "two blocks": ((8, 8, 4), 32, 128),
    "three blocks, and every axis padded": ((5, 7, 3), 45, 128),
    "missing samples in one block": ((8, 8, 4), 29, 256),
    "one output": ((8, 8, 1), 32, 128),
    "one layer": ((5, 3), 32, 64),
    "one number": ((6, 1), 16, 64),
    "no room beside outputs": ((4, 4, 2), 16, 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_is_that_of_the_function(chosen, name):
    """And takes the key switches that the formula says."""
    sizes, batch, slots = NETWORKS[name]
    graph = check(step, arguments_of(sizes, batch), slots, carry=(0, 1))
    assert chosen[-1] is not None
    assert key_switches(graph) == chosen[-1].key_switches
    assert any(isinstance(node, SteppedSum) for node in graph.nodes)


def test_several_steps_in_one_call_and_ranges_without_zero(chosen):
    def twice(params, momentum, first, second):
        return step(*step(params, momentum, *first), *second)

    params, momentum, _, y = arguments_of((8, 8, 2), 32, width=0.5)
    x = fhe.Encrypted((32, 8), range=(-1, 3))
    graph = check(twice, (params, momentum, (x, y), (x, y)), 128, carry=(0, 1))
    assert any(isinstance(node, SteppedSum) for node in graph.nodes)
    carried = with_carry(graph, tuple((n, n) for n in range(len(graph.outputs))))
    assert sum(type(node).__name__ == "CarriedSlots" for node in carried.nodes) == 1


def test_results_with_samples(chosen):
    def outputs(params, x):
        (weights, bias), (last, shift) = params
        hidden = x @ weights + bias[None]
        return (hidden * hidden) @ last + shift[None], 0.5 * hidden - 0.25

    params, _, x, _ = arguments_of((6, 8, 3), 30)
    graph = check(outputs, (params, x), 128)
    assert any(isinstance(node, SteppedSum) for node in graph.nodes)


def test_plain_factors_and_other_sums(chosen):
    """Weights of outputs, and sums over samples of what no data is multiplied with."""

    def weighted(weights, x, y):
        error = (x @ weights - y) * jnp.linspace(0, 1, 3, dtype=x.dtype)[None]
        return x.T @ error, jnp.sum(error, 0), jnp.sum(error**2, 0)

    weights = fhe.Encrypted((5, 3), batch_axis=None)
    check(weighted, (weights, fhe.Encrypted((14, 5)), fhe.Encrypted((14, 3))), 64)


@pytest.mark.parametrize(
    ("sizes", "most"), [((64, 64, 10), 213), ((64, 128, 10), 314)], ids=["64-64-10", "64-128-10"]
)
def test_key_switches_of_a_large_batch(sizes, most):
    """Of 1,024 samples with biases; the layout with samples below takes 784 and 1,160."""
    graph = circuit_of(step, arguments_of(sizes, 1024), 2**15, carry=(0, 1))
    assert key_switches(graph) == most


@pytest.mark.parametrize(("sizes", "batch"), [((64, 32, 16, 10), 60), ((64, 32, 10), 64)], ids=str)
def test_small_batches_lie_as_before(sizes, batch):
    graph = circuit_of(step, arguments_of(sizes, batch), 2**15, carry=(0, 1))
    assert not any(isinstance(node, SteppedSum) for node in graph.nodes)
