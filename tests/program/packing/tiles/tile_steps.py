"""Training steps that tests of tiles share, their circuits, and what these are compared with."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fhejax as fhe
from fhejax.program.circuit.entries import result_of, sample_entries
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.nodes import ElementwiseSquare, RotatedSum, Rotations, SteppedSum, SumOfProducts
from fhejax.program.circuit.ranges import bounds
from fhejax.program.circuit.simplification import simplify
from fhejax.program.compiler import described_arguments
from fhejax.program.levels.carry import matched_pairs
from fhejax.program.packing.packings import packed
from fhejax.program.tensor.trace import trace

RATE, MOMENTUM = 0.0625, 0.875  # which float32 holds exactly
OPTIMISER = optax.sgd(RATE, momentum=MOMENTUM, nesterov=True)


def mean_squared_error(params, x, y):
    for weights, bias in params[:-1]:
        z = x @ weights + bias[None]
        x = z * z + z
    weights, bias = params[-1]
    return 0.5 * jnp.mean(jnp.sum((x @ weights + bias[None] - y) ** 2, -1))


def step(params, momentum, x, y):
    """Nesterov's step of optax, of the gradient of a loss."""
    gradient = jax.grad(mean_squared_error)(params, x, y)
    state = (optax.TraceState(momentum), optax.EmptyState())
    updates, state = OPTIMISER.update(gradient, state, params)
    return optax.apply_updates(params, updates), state[0].trace


def arguments_of(sizes, batch, width=2.0):
    layers = list(itertools.pairwise(sizes))
    own = {"range": (-width, width), "batch_axis": None}
    params = [(fhe.Encrypted(pair, **own), fhe.Encrypted(pair[1:], **own)) for pair in layers]
    return params, params, fhe.Encrypted((batch, sizes[0])), fhe.Encrypted((batch, sizes[-1]), range=(0, 1))


def values_of(described, seed=0):
    """Values in half of the ranges."""
    generator = np.random.default_rng(seed)

    def drawn(argument):
        middle, radius = np.mean(argument.range), np.ptp(argument.range) / 2
        return (middle + radius / 2 * generator.uniform(-1, 1, argument.shape)).astype(np.float32)

    return jax.tree.map(drawn, described, is_leaf=lambda a: isinstance(a, fhe.Encrypted))


def circuit_of(function, described, slots, carry=None):
    flat, nesting = described_arguments(described)
    batch = next(a.shape[0] for a in flat if a.batch_axis is not None)
    traced = trace(function, flat, nesting, batch, [])
    traced = type(traced)(**{**vars(traced), "slots": slots, "carry": matched_pairs(traced, carry)})
    return simplify(packed(traced, "tiles"))


def evaluated(graph, values):
    flat = [np.asarray(value, np.float64) for value in jax.tree.leaves(values)]
    known = evaluate_graph(graph, sample_entries(graph.arguments, flat))
    return known, [result_of(output, known) for output in graph.outputs]


def check(function, described, slots, carry=None):
    """The results of the circuit are those of the function, and its values lie within their intervals."""
    graph = circuit_of(function, described, slots, carry)
    values = values_of(described)
    known, found = evaluated(graph, values)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: np.asarray(a, np.float64), values)
        wanted = jax.tree.leaves(jax.jit(function)(*wide))  # one kernel, where each operation would be one
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6 * max(1.0, np.abs(other).max()))
    for value, bound in zip(known, bounds(graph), strict=True):
        assert np.abs(value).max() <= bound * (1 + 1e-9) + 1e-12
    return graph


def key_switches(graph):
    """The relinearisations and rotations of a circuit."""
    counted = {
        RotatedSum: lambda node: len(node.distances),
        Rotations: lambda node: len(node.distances),
        SteppedSum: lambda node: len(node.sources) - 1,
        SumOfProducts: lambda node: 1,
        ElementwiseSquare: lambda node: 1,
    }
    return sum(counted[type(node)](node) for node in graph.nodes if type(node) in counted)
