"""Which operation makes which nodes."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import fhejax
from fhejax import approx
from fhejax.program.arguments import describe
from fhejax.program.circuit.graph import consumers, depth, live_nodes
from fhejax.program.circuit.nodes import (
    Combine,
    Concatenate,
    ElementwiseProduct,
    ElementwiseSquare,
    Gather,
    Input,
    Linear,
)
from fhejax.program.circuit.simplification import fold_shifts
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.trace import trace

IMAGE = fhejax.Encrypted((4, 6, 6, 2))
ROWS = fhejax.Encrypted((4, 6))


def graph_of(function, *arguments):
    described = [describe(a) for a in arguments]
    nesting = jax.tree.structure(tuple(range(len(arguments))))
    return to_circuit(trace(function, described, nesting, 4, []))


def kinds(function, *arguments):
    graph = graph_of(function, *arguments)
    return [type(graph.nodes[n]) for n in sorted(live_nodes(graph))]


def weights(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


FREE = {
    "reshape": lambda x: x.reshape(4, -1),
    "transpose": lambda x: x.transpose(3, 0, 2, 1),
    "broadcast": lambda x: jnp.broadcast_to(x[:, None], (4, 3, 6, 6, 2)),
    "slice": lambda x: x[:, 1:5:2, ::-1, 0],
    "pad": lambda x: jnp.pad(x, ((0, 0), (1, 1), (0, 2), (0, 0))),
    "squeeze": lambda x: jnp.squeeze(x[..., :1], -1),
    "take": lambda x: jnp.take(x, np.array([3, 0, 0]), axis=1),
    "affine": lambda x: -(x * 2 + 1) / 3 - jnp.ones((1, 6, 1, 2)),
    "where": lambda x: jnp.where(jnp.arange(2)[None, None, None] > 0, x, 0.0),
    "stack": lambda x: jnp.stack([x, -x], 1),
    "batch norm": lambda x: nnx.BatchNorm(2, use_running_average=True, rngs=nnx.Rngs(0))(x),
    "degree one": approx.Polynomial.from_chebyshev([0.5, 2.0], (-1.0, 1.0)),
    "jit": jax.jit(lambda x: jax.jit(jnp.negative)(x)),
}


@pytest.mark.parametrize("name", FREE)
def test_what_is_affine_or_structural_makes_no_node(name):
    assert kinds(FREE[name], IMAGE) == [Input]


NODES = {
    "matrix": (lambda x: x @ weights(6, 3), [Linear]),
    "square": (lambda x: (2 * x + 1) ** 2, [ElementwiseSquare]),
    "itself": (lambda x: (x + 1) * (1 + x), [ElementwiseSquare]),
    "product": (lambda x: x * (x + 1), [ElementwiseProduct]),
    "product of halves": (lambda x: x[:, :3] * x[:, 3:], [Gather, Gather, ElementwiseProduct]),
    "sum": (lambda x: x.sum(1), [Linear]),
    "mean": (lambda x: x.mean(1), [Linear]),
    "twice": (lambda x: x + 2 * x, []),
    "residual": (lambda x: x + x**2, [ElementwiseSquare, Combine]),
    "join": (lambda x: jnp.concatenate([x, x**2], 1), [ElementwiseSquare, Concatenate]),
    "join of one": (lambda x: jnp.concatenate([x, 2 * x, x + 1], 1), []),
    "cube": (lambda x: x**3, [ElementwiseSquare, ElementwiseProduct]),
    "fourth": (lambda x: x**4, [ElementwiseSquare, ElementwiseSquare]),
    "quadratic": (approx.Polynomial.from_chebyshev([1.0, 2, 3], (-1.0, 1.0)), [ElementwiseSquare]),
    "cubic": (
        approx.Polynomial.from_chebyshev([1.0, 2, 3, 4], (-1.0, 1.0)),
        [ElementwiseSquare, ElementwiseProduct, Combine],
    ),
    "segment sum": (lambda x: jnp.zeros((4, 2)).at[:, np.array([0, 0, 1, 1, 1, 0])].add(x), [Linear]),
    "product of all": (lambda x: x[:, :4].prod(1), 2 * [Gather, Gather, ElementwiseProduct]),
    "unused": (lambda x: (x**2, x @ weights(6, 3))[1], [Linear]),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes(name):
    function, expected = NODES[name]
    assert kinds(function, ROWS) == [Input, *expected]


@pytest.mark.parametrize("degree", range(2, 16))
def test_depth_of_polynomials(degree):
    polynomial = approx.Polynomial.from_chebyshev(np.ones(degree + 1), (-1.0, 1.0))
    found = depth(graph_of(polynomial, ROWS))
    assert math.ceil(math.log2(degree)) <= found <= math.ceil(math.log2(degree + 1)) + 1


def average(x):
    return nnx.avg_pool(x, (2, 2), (2, 2), count_include_pad=False)


def test_average_pooling_is_an_exact_sum():
    (node,) = graph_of(average, IMAGE).nodes[1:]
    assert node.exact
    assert set(np.unique(node.weights)) <= {0.0, 1.0}


def test_average_pooling_of_scaled_channels_is_an_exact_sum():
    graph = graph_of(lambda x: average(x * jnp.array([2.0, 0.3])[None, None, None]), IMAGE)
    (node,) = graph.nodes[1:]
    assert node.exact
    assert set(np.unique(graph.outputs[0].value.multiplier)) == {0.5, 0.25 * np.float32(0.3)}


def test_a_convolution_and_its_batch_norm_are_one_node():
    model = nnx.Sequential(
        nnx.Conv(2, 3, (3, 3), rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(1)), jnp.square
    )
    view = nnx.view(model, use_running_average=True)
    graph = graph_of(view, IMAGE)
    assert [type(n) for n in graph.nodes] == [Input, Linear, ElementwiseSquare]
    folded = fold_shifts(graph)
    assert folded.nodes[2].shift is None
    assert graph.nodes[2].shift is None or folded.nodes[1].bias is not None


def test_a_shift_stays_where_the_layer_is_read_twice():
    def function(x):
        y = x @ weights(6, 3)
        return (y + 1) ** 2, y

    graph = fold_shifts(graph_of(function, ROWS))
    assert graph.nodes[1].bias is None
    assert (graph.nodes[2].shift == 1).all()
    assert consumers(graph)[1] == (2, -1)


def test_labels_name_the_primitive_and_the_line():
    graph = graph_of(lambda x: x @ weights(6, 3), ROWS)
    assert graph.nodes[1].label.startswith("dot_general (test_to_circuit.py:")
