"""Which primitive makes which nodes, and what is refused."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from traced_functions import refusals

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
from fhejax.program.tensor.trace import trace

IMAGE = fhejax.Encrypted((4, 6, 6, 2))
ROWS = fhejax.Encrypted((4, 6))


def graph_of(function, *arguments):
    described = [describe(a) for a in arguments]
    nesting = jax.tree.structure(tuple(range(len(arguments))))
    return trace(function, described, nesting, 4, [])


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
        [ElementwiseSquare, ElementwiseProduct, Combine, Combine],
    ),
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
    assert graph.nodes[1].label.startswith("dot_general (test_trace.py:")


def line_of(function, text):
    """file:line of the first line of a function that holds some text."""
    lines, start = inspect.getsourcelines(function)
    return f"test_trace.py:{start + next(i for i, line in enumerate(lines) if text in line)}"


def relu_network(x):
    x = nnx.relu(x)
    x = nnx.max_pool(x, (2, 2), (2, 2))
    x = x + 1
    x = nnx.relu(x)
    x = x.reshape(4, -1) @ weights(18, 6)
    return jnp.argmax(x, 1)


def test_every_refused_operation_is_listed_with_its_line_and_a_substitute():
    text = refusals(relu_network, IMAGE)
    assert "4 operations" in text
    first = line_of(relu_network, "x = nnx.relu(x)")
    start, number = first.split(":")
    for line, name, substitute in [
        (first, "max", "fhejax.nn.Square"),
        (line_of(relu_network, "max_pool"), "reduce_window_max", "avg_pool"),
        (f"{start}:{int(number) + 3}", "max", "fhejax.nn.Square"),
        (line_of(relu_network, "argmax"), "argmax", "after decryption"),
    ]:
        assert any(f"{line}: {name}:" in entry and substitute in entry for entry in text.splitlines()), (
            line,
            name,
            text,
        )


REFUSED = {
    "exp": (jnp.exp, "exp", "fhejax.approx.chebyshev('exp'"),
    "sigmoid": (jax.nn.sigmoid, "logistic", "'sigmoid'"),
    "tanh": (jnp.tanh, "tanh", "'tanh'"),
    "sqrt": (jnp.sqrt, "sqrt", "'sqrt'"),
    "absolute": (jnp.abs, "abs", "'abs'"),
    "comparison": (lambda x: x > 0, "gt", "comparison"),
    "choice": (lambda x: jnp.where(x > 0, x, 0.0), "gt", "comparison"),
    "argmax": (lambda x: jnp.argmax(x, 1), "argmax", "after decryption"),
    "sort": (lambda x: jnp.sort(x, 1), "sort", "after decryption"),
    "reciprocal": (lambda x: 1 / x, "div", "division by an encrypted value"),
    "quotient": (lambda x: x / (x + 3), "div", "division by an encrypted value"),
    "zero": (lambda x: x / jnp.array([[1.0, 0, 1, 1, 1, 1]]), "div", "plain zero"),
    "negative power": (lambda x: x**-2, "integer_pow", "1/x"),
    "power": (lambda x: jnp.exp2(x), "exp2", "no rule"),
    "samples with other samples": (lambda x: x @ x.T, "dot_general", "only the same samples can meet"),
    "samples with features": (lambda x: x[:, :4] @ x, "dot_general", "only the same samples can meet"),
    "sum with other weights": (lambda x: weights(2, 4) @ x, "dot_general", "differs between the samples"),
    "weights for each sample": (
        lambda x: jnp.einsum("bi,bij->bj", x, weights(4, 6, 2)),
        "dot_general",
        "each sample",
    ),
    "mask for each sample": (lambda x: x * weights(4, 1), "mul", "differs between the samples"),
    "batch merged": (lambda x: x.reshape(24), "reshape", "keep the batch axis whole"),
    "batch split": (lambda x: x.reshape(2, 2, 6), "reshape", "keep the batch axis whole"),
    "batch cut": (lambda x: x[1:], "slice", "batch axis"),
    "batch reversed": (lambda x: x[::-1], "rev", "batch axis"),
    "batch padded": (lambda x: jnp.pad(x, ((1, 0), (0, 0))), "pad", "batch axis"),
    "batch joined": (lambda x: jnp.concatenate([x, x]), "concatenate", "batch axis"),
    "batch tiled": (lambda x: jnp.tile(x, (2, 1)), "tile", "batch axis"),
    "batch turned": (lambda x: x[:, :4] + x[:, :4].T, "add", "different axes"),
    "integers": (lambda x: x.astype(jnp.int32), "convert_element_type", "floating point"),
    "encrypted padding": (
        lambda x: lax.pad(jnp.ones(3), x.reshape(4, 6)[:1, 0].reshape(()), [(1, 0, 0)]),
        "slice",
        "batch axis",
    ),
    "loop": (
        lambda x: lax.fori_loop(0, 3, lambda i, y: y * 2, x),
        "scan",
        "unroll",
    ),
    "index": (lambda x: x[:, jnp.array([0, 2])], "gather", "slices"),
    "reduction": (
        lambda x: lax.reduce(x, 1.0, lambda a, b: a * b + a, (1,)),
        "reduce",
        "no rule",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, primitive, reason = REFUSED[name]
    text = refusals(function, ROWS)
    assert any(f": {primitive}: " in line and reason in line for line in text.splitlines()), text


def test_a_value_without_samples_cannot_pad():
    shared = fhejax.Encrypted((), batch_axis=None)
    text = refusals(lambda x, w: lax.pad(x, w, [(0, 0, 0), (1, 0, 0)]), ROWS, shared)
    assert "pad with zero" in text


def test_encrypted_kernel_and_coefficients():
    kernel = fhejax.Encrypted((3, 3, 2, 1), batch_axis=None)
    numbers = ("NHWC", "HWIO", "NHWC")
    text = refusals(
        lambda x, k: lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=numbers),
        IMAGE,
        kernel,
    )
    assert "kernel must be plain" in text
    coefficients = fhejax.Encrypted((3,), batch_axis=None)
    text = refusals(lambda x, c: approx.Polynomial(c, (-1.0, 1.0))(x), ROWS, coefficients)
    assert "coefficients must be plain" in text


def test_polynomial_channels_on_the_batch():
    table = np.random.default_rng(0).normal(size=(4, 3))
    polynomial = approx.Polynomial.from_chebyshev(table, (-1.0, 1.0))
    text = refusals(polynomial, fhejax.Encrypted((6, 4), batch_axis=1))
    assert "differs between the samples" in text


def test_shared_values_times_per_sample_numbers():
    shared = fhejax.Encrypted((6,), batch_axis=None)
    text = refusals(lambda x, w: x + w[None] * weights(4, 1), ROWS, shared)
    assert "differs between the samples" in text


def test_training_mode_is_refused_with_the_fix():
    model = nnx.Sequential(nnx.Linear(6, 3, rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(1)))
    with pytest.raises(ValueError, match=r"training mode.*use_running_average=True"):
        graph_of(model, ROWS)
    dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"training mode.*deterministic=True"):
        graph_of(dropout, ROWS)


def test_errors_of_the_function_itself_are_its_own():
    with pytest.raises(TypeError, match="dot_general requires"):
        graph_of(lambda x: x @ jnp.ones((5, 2)), ROWS)
