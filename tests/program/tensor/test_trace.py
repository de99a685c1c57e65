"""What is refused, where and why, and how nothing else goes wrong while a function is traced."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from traced_functions import constant, encrypted, refusals, tensors_of, values_of

import fhejax
from fhejax import approx
from fhejax.program.arguments import describe
from fhejax.program.circuit.graph import live_nodes
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.graph import evaluate
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
    "batch turned": (lambda x: x[:, :4] + x[:, :4].T, "add", "transpose one of them"),
    "batch summed one by one": (lambda x: jnp.cumsum(x, 0), "cumsum", "spans several samples"),
    "complex": (lambda x: jnp.real(x.astype(jnp.complex64)), "convert_element_type", "complex numbers"),
    "Fourier transform": (lambda x: jnp.abs(jnp.fft.fft(x)), "convert_element_type", "complex numbers"),
    "nan": (
        lambda x: jnp.where(jnp.array([[True, False] * 3]), x, jnp.nan),
        "select_n",
        "NaN or infinity for some",
    ),
    "fractional power": (lambda x: x**2.5, "pow", "not a whole number"),
    "negative whole power": (lambda x: x**-1.0, "pow", "1/x"),
    "encrypted exponent": (lambda x: 2.0**x, "pow", "encrypted exponent"),
    "several exponents": (lambda x: x ** jnp.arange(1.0, 7)[None], "pow", "several exponents"),
    "integers": (lambda x: x.astype(jnp.int32), "convert_element_type", "floating point"),
    "encrypted padding": (
        lambda x: lax.pad(jnp.ones(3), x.reshape(4, 6)[:1, 0].reshape(()), [(1, 0, 0)]),
        "pad",
        "pad with zero",
    ),
    "loop": (
        lambda x: lax.while_loop(lambda y: y.sum() > 1, lambda y: y * 0.5, x),
        "while",
        "a loop of unknown length; use lax.scan",
    ),
    "operation in a loop": (
        lambda x: lax.fori_loop(0, 3, lambda i, y: jnp.tanh(y), x),
        "tanh",
        "approx",
    ),
    "index of samples": (lambda x: x[jnp.array([0, 2])], "gather", "along the batch axis"),
    "other index for each sample": (
        lambda x: jnp.take_along_axis(x, jnp.arange(4)[:, None] % 3, 1),
        "gather",
        "other positions for each sample",
    ),
    "index beyond the end": (lambda x: jnp.take(x, jnp.array([0, 9]), axis=1), "gather", "NaN"),
    "set of a sample": (lambda x: x.at[1].set(x[2]), "slice", "cuts the batch axis"),
    "factors that meet": (
        lambda x: x.at[:, jnp.array([0, 0])].multiply(x[:, :2]),
        "scatter-mul",
        "several encrypted factors",
    ),
    "greatest of updates": (lambda x: x.at[:, 0].max(0.5), "scatter-max", "no rule"),
    "product of windows": (
        lambda x: lax.reduce_window(x, 1.0, lax.mul, (1, 2), (1, 1), "VALID"),
        "reduce_window",
        "not a sum from zero",
    ),
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


def test_encrypted_coefficients():
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


def test_complex_numbers_are_refused_once():
    assert "one operation" in refusals(lambda x: jnp.real((x.astype(jnp.complex64) + 2) ** 2).sum(1), ROWS)


def test_refusals_of_the_packing_are_collected():
    text = refusals(lambda x: (x[1:] * 2).sum(1), ROWS)
    assert "one operation" in text and ": slice: " in text
    text = refusals(lambda x: (x[::-1] + x, jnp.cumsum(x, 0)), ROWS)
    assert "2 operations" in text and ": rev: " in text and ": cumsum: " in text


@pytest.mark.parametrize("batch_axis", [0, 1, 2])
def test_the_tensor_graph_knows_no_batch_axis(batch_axis):
    """Where the samples lie changes nothing in the operations, nor does it to have none."""

    def function(x):
        return jnp.cumsum((x * constant(2, 3, 4) + 1) ** 2, 1).transpose(2, 0, 1).sum(0)

    shape = (2, 3, 4)
    found = tensors_of(function, encrypted(shape, batch_axis))
    expected = tensors_of(function, encrypted(shape, None))
    for one, other in zip(found.operations, expected.operations, strict=True):
        assert (type(one), one.sources, one.shape, one.label) == (
            type(other),
            other.sources,
            other.shape,
            other.label,
        )
    x = values_of(encrypted(shape))
    for one, other in zip(evaluate(found, [x]), evaluate(expected, [x]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_polynomial_stays_one_operation():
    graph = tensors_of(approx.chebyshev("tanh", 15, (-2.0, 2.0)), ROWS)
    assert [type(operation).__name__ for operation in graph.operations] == ["Argument", "Polynomial"]


@pytest.mark.parametrize("terms", [300, 1200])
def test_long_loops(terms):
    """No recursion, over terms or products."""

    def function(x):
        return jnp.mean(sum(x[:, i] ** 2 for i in range(terms)) + x[:, 0], 0)

    argument = encrypted((4, terms))
    graph = tensors_of(function, argument)
    x = values_of(argument)
    np.testing.assert_allclose(evaluate(graph, [x])[0], function(x), rtol=1e-4)
    circuit = to_circuit(graph)
    assert len(circuit.nodes) > 2 * terms
