"""Shifted replicas: maps that read and write copies, chains of convolutions, and a network encrypted."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array
from small_networks import convolved, weights

import fhejax
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.nodes import SlotTransform
from fhejax.program.circuit.nodes.in_slots.slot_matrix import SlotMatrix, key_switches_of
from fhejax.program.circuit.nodes.in_slots.slot_transform import SlotTransformStep
from fhejax.program.circuit.simplification import simplify
from fhejax.program.packing.multiplexed import replicas
from fhejax.program.packing.multiplexed.replicas import replicated, shifted_positions, with_replicas
from fhejax.program.packing.packings import packed
from fhejax.program.tensor.trace import trace

CHANNELS, PIXELS = 8, 16  # of an image of 4x4


def copies_of(values, copies):
    """The slots of a value with so many copies, by their definition."""
    found = np.zeros(copies * len(values))
    for copy in range(copies):
        found[shifted_positions(np.arange(len(values)), len(values), copies, copy)] = values
    return found


def convolution(outputs=CHANNELS, inputs=CHANNELS):
    """The matrix of a convolution of whole planes, channels outermost, from one period to one."""
    generator = np.random.default_rng(0)
    matrix = np.zeros((outputs, 4, 4, inputs, 4, 4))
    for row, column in np.ndindex(4, 4):
        for down, right in np.ndindex(3, 3):
            to = row + down - 1, column + right - 1
            if min(to) >= 0 and max(to) < 4:
                matrix[:, row, column, :, *to] = 1.0
    weight = generator.normal(size=matrix.shape)
    return (matrix * weight).reshape(outputs * PIXELS, inputs * PIXELS)


@pytest.mark.parametrize("source, result", [(1, 1), (4, 1), (8, 1), (1, 4), (2, 2), (4, 2), (2, 8)])
@pytest.mark.parametrize("outputs, inputs", [(8, 8), (4, 8), (8, 4)])
def test_a_map_of_copies_is_the_map(source, result, outputs, inputs):
    matrix = convolution(outputs, inputs)
    x = np.random.default_rng(1).normal(size=matrix.shape[1])
    found = replicated(SlotMatrix(csr_array(matrix)), source, result)
    wanted = copies_of(matrix @ x, result)
    np.testing.assert_allclose(found.matrix @ copies_of(x, source), wanted, atol=1e-12)
    diagonals = found.diagonals
    again = diagonals.as_matrix(diagonals.vectors) @ copies_of(x, source)
    np.testing.assert_allclose(again, wanted, atol=1e-5)


def test_diagonals_are_shared_by_the_copies_that_are_read():
    matrix = SlotMatrix(csr_array(convolution()))
    taps = len(matrix.distances) // CHANNELS
    assert taps == 9
    for copies in (2, 4, 8):
        read, written = replicated(matrix, copies, 1), replicated(matrix, 1, copies)
        assert len(read.distances) == 9 * CHANNELS // copies
        assert len(read.folds) == np.log2(copies)
        assert len(written.distances) == 9 * CHANNELS and not written.folds
    eighth = replicated(matrix, 8, 1)
    assert key_switches_of(eighth.steps, eighth.folds) == (2, 2 + 3)  # nine taps, and three folds


def chain(x):
    """Two residual blocks of convolutions of as many channels, after one that makes the channels."""
    x = jnp.square(convolved(x, weights(3, 3, 1, 8)) / 4 + 0.25)
    for block in range(2):
        y = jnp.square(convolved(x, weights(3, 3, 8, 8, seed=2 * block + 1)) / 8 - 0.125)
        x = jnp.square(x + convolved(y, weights(3, 3, 8, 8, seed=2 * block + 2)) / 8)
    return x.mean((1, 2))


def circuit_of(function, shape):
    """The circuit as it is packed, which looks for copies in the slots of its largest period only."""
    traced = trace(function, [fhejax.Encrypted(shape)], jax.tree.structure((0,)), 1, [])
    return simplify(packed(traced, "multiplexed"))


def diagonal_counts(graph):
    """Of the widest map of each layer."""
    nodes = [node for node in graph.nodes if isinstance(node, SlotTransform)]
    return [max(len(matrix.distances) for matrix in node.matrices) for node in nodes]


def writers(graph):
    """The diagonals of each layer whose result has copies."""
    periods = [node.matrices[0].periods[0] for node in graph.nodes if isinstance(node, SlotTransform)]
    return [count for count, period in zip(diagonal_counts(graph), periods, strict=True) if period > 128]


def test_every_second_convolution_of_a_chain_takes_a_fraction():
    graph = circuit_of(chain, (1, 4, 4, 1))
    assert graph.least_slots == 8 * 16 and diagonal_counts(graph)[1:5] == [72] * 4
    roomy = dataclasses.replace(graph, least_slots=8 * 8 * 16)
    cheaper = with_replicas(roomy, 2**20)  # in slots as many, encoding costs nothing
    assert sorted(diagonal_counts(cheaper)[1:5]) == [18, 18, 72, 72]
    x = np.random.default_rng(2).uniform(-1, 1, (16, 1))
    before, after = (evaluate_graph(g, [x]) for g in (graph, cheaper))
    for one, other, node in zip(before, after, cheaper.nodes, strict=True):
        copies = len(other) // len(one)
        np.testing.assert_allclose(other[:, 0], copies_of(one[:, 0], copies), atol=1e-9, err_msg=str(node))
    assert max(len(other) for other in after) > 128


def test_copies_take_no_slots_that_are_not_there_and_none_where_encoding_costs_more(monkeypatch):
    graph = circuit_of(chain, (1, 4, 4, 1))
    assert with_replicas(graph, 2**20) is graph
    roomy = dataclasses.replace(graph, least_slots=2**13)
    assert writers(with_replicas(roomy, 2**13)).count(72) == 2
    monkeypatch.setattr(replicas, "_ENCODING_COST", 100.0)
    monkeypatch.setattr(replicas, "are_streamed", lambda *_: True)
    assert with_replicas(roomy, 2**13) is roomy  # less than a tenth would be saved, by the first layer


def with_room(x, features):
    """A residual sum of small images, copies of which lie in the slots that many features take."""
    x = jnp.square(convolved(x, weights(3, 3, 1, 8)) / 2 + 0.5)
    x = jnp.square(x + convolved(x, weights(3, 3, 8, 8, seed=1)) / 2)
    return x.mean((1, 2)) @ weights(8, 3, seed=2) + features @ weights(512, 3, seed=3)


SHAPES = (1, 4, 4, 1), (1, 512)


@functools.cache
def program():
    options = {"packing": "multiplexed", "insecure_log_degree": 10, "bootstrapping": False, "device": "cpu"}
    sample = tuple(arguments(3, 4))
    described = map(fhejax.Encrypted, SHAPES)
    return fhejax.compile(with_room, *described, sample=sample, margin=4.0, precision_bits=10, **options)


def arguments(seed, count=1):
    generator = np.random.default_rng(seed)
    return [generator.uniform(-1, 1, (count, *shape[1:])).astype(np.float32) for shape in SHAPES]


@pytest.mark.nightly
def test_what_reads_copies_runs_encrypted_as_predicted():
    compiled = program()
    steps = [step for step in compiled.plan.steps if isinstance(step, SlotTransformStep)]
    assert [len(step.transforms[0]) for step in steps[:2]] == [9, 18]  # of 72 diagonals
    given = arguments(4)
    np.testing.assert_allclose(compiled.clear(*given), with_room(*given), rtol=1e-4, atol=1e-5)
    secret, keys = compiled.keygen()
    found = compiled.decrypt(secret, compiled(keys, *(compiled.encrypt(secret, *given))))
    error = np.sqrt(np.mean((found - compiled.clear(*given)) ** 2))
    assert compiled.plan.predicted_errors[0] / 4 < error < 4 * compiled.plan.predicted_errors[0]
    noise = np.sqrt(np.mean((found - compiled.simulate(*given)) ** 2))
    assert noise < 4 * compiled.plan.predicted_noise[0]


def test_rounded_diagonals_of_copies_leave_the_error_that_is_predicted():
    compiled, seen = program(), arguments(5, 32)
    errors = compiled.simulate(*seen) - compiled.clear(*seen)
    plan = compiled.plan
    predicted = np.sqrt(plan.predicted_errors[0] ** 2 - plan.predicted_noise[0] ** 2)
    assert abs(np.log2(np.sqrt(np.mean(np.square(errors))) / predicted)) < 0.5
