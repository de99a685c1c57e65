"""What the tests of traced functions share: graphs, their values in the clear, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fhejax
from fhejax.program.arguments import describe
from fhejax.program.circuit.entries import result_of, sample_entries
from fhejax.program.circuit.evaluation import evaluate_graph
from fhejax.program.circuit.ranges import bounds, check_finite
from fhejax.program.circuit.simplification import simplify
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.graph import evaluate
from fhejax.program.tensor.refusals import NotPolynomialError
from fhejax.program.tensor.trace import trace


def constant(*shape):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), jnp.float32)


def tensors_of(function, *arguments, plain=()):
    """The tensor graph of a function on described arguments."""
    described = [describe(a) for a in arguments]
    nesting = jax.tree.structure(tuple(range(len(arguments))))
    axes = [(a, getattr(a, "batch_axis", None)) for a in described]
    sizes = [a.shape[axis] for a, axis in axes if axis is not None]
    return trace(function, described, nesting, max(sizes, default=1), plain)


def traced(function, *arguments):
    """The circuit of a function on encrypted arguments, one sample in each slot."""
    graph = simplify(to_circuit(tensors_of(function, *arguments)))
    check_finite(graph)
    return graph


def values_of(argument, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(*argument.range, argument.shape).astype(np.float32)


def check_clear(function, *arguments):
    """Both graphs compute what the function does, and every node stays within its bound."""
    graph = traced(function, *arguments)
    arrays = [values_of(a, i) for i, a in enumerate(arguments)]
    expected = check_tensors(function, arguments, arrays)
    entries = sample_entries(graph.arguments, [a.astype(np.float64) for a in arrays])
    known = evaluate_graph(graph, entries)
    for output, wanted in zip(graph.outputs, expected, strict=True):
        found = result_of(output, known)
        assert found.shape == wanted.shape == output.shape
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)
    for limit, values in zip(bounds(graph), known, strict=True):
        assert np.abs(values).max(initial=0) <= limit * (1 + 1e-9) + 1e-12
    return graph


def check_tensors(function, arguments, arrays):
    """The tensor graph computes what the function does, whatever its batch axes; returned is what it does."""
    graph = tensors_of(function, *arguments)
    expected = jax.tree.leaves(jax.jit(function)(*arrays))  # one kernel, where each operation would be one
    for found, output, wanted in zip(evaluate(graph, arrays), graph.outputs, expected, strict=True):
        assert found.shape == wanted.shape == output.shape
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-4)
    for operation in graph.operations:
        assert operation.label.primitive
        assert all(source < len(graph.operations) for source in operation.sources)
    return expected


def encrypted(shape, batch_axis=0, low=-1.0, high=1.0):
    return fhejax.Encrypted(shape, range=(low, high), batch_axis=batch_axis)


def refusals(function, *arguments):
    with pytest.raises(NotPolynomialError) as caught:
        traced(function, *arguments)
    return str(caught.value)
