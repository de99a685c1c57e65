"""Plain arguments: what follows from them is computed anew without tracing, and is what tracing gives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from traced_functions import constant, encrypted, tensors_of, values_of

from fhejax import Plain, approx
from fhejax.program.packing.sample_per_slot.to_circuit import to_circuit
from fhejax.program.tensor.graph import evaluate
from fhejax.program.tensor.plain_program import PlainArray, compacted, elementwise

ARGUMENTS = (encrypted((4, 3)), Plain((3, 3), range=(0.25, 2.0)), Plain((3,), range=(0.25, 2.0)))

FUNCTIONS = {
    "matrix": lambda x, w, b: x @ w + b[None],
    "first": lambda x, w, b: (w @ x.T).T * 2,
    "arithmetic": lambda x, w, b: (x - b[None]) / w[:1] - (b[None] - x) * -w[1:2],
    "computed": lambda x, w, b: x @ jnp.linalg.inv(w + 3 * jnp.eye(3)) + jnp.exp(b)[None],
    "batch norm": lambda x, w, b: (x - w[0][None]) * jax.lax.rsqrt(b + 1e-3)[None],
    "choice": lambda x, w, b: jnp.where(w[0] > 1, x, b[None]) + jnp.where(b > 1, x**2, w[:1]),
    "polynomial": lambda x, w, b: approx.Polynomial(jnp.concatenate([b, w[0]]), (-1.0, 1.0))(x),
    "pad": lambda x, w, b: jax.lax.pad(x, b[1], [(0, 0, 0), (1, 2, 1)]),
    "join": lambda x, w, b: jnp.concatenate([x, jnp.broadcast_to(b[None], (4, 3)), x**2], 1),
    "stack": lambda x, w, b: jnp.stack([x, jnp.broadcast_to(b[None], (4, 3))], 1),
    "inner calls": lambda x, w, b: jax.jit(lambda v: x @ jax.jit(jnp.sort)(v))(w),
    "kernel": lambda x, w, b: jax.lax.conv_general_dilated(
        x[:, :, None], w[:, :, None].transpose(0, 2, 1), (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
    ),
    "plain results": lambda x, w, b: (x + b[None], w.sum(), jnp.argmax(b)),
    "closed over": lambda x, w, b: (x * constant(1, 3) + b[None]) @ constant(3, 2),
}


def plain_values(seed):
    generator = np.random.default_rng(seed)
    return [generator.uniform(0.25, 2, a.shape).astype(np.float32) for a in ARGUMENTS[1:]]


def contents(value):
    """All numbers that an operation or node holds."""
    if isinstance(value, PlainArray):
        return contents(value.array)
    if isinstance(value, tuple):
        return [c for v in value for c in contents(v)]
    if dataclasses.is_dataclass(value):
        return [c for f in dataclasses.fields(value) for c in contents(getattr(value, f.name))]
    return [value]


def assert_same(found, expected):
    for one, other in zip(contents(tuple(found)), contents(tuple(expected)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_new_values_give_what_tracing_anew_gives(name):
    function = FUNCTIONS[name]
    graph = tensors_of(function, *ARGUMENTS, plain=plain_values(0))
    values = plain_values(1)
    renewed = graph.with_plain(values)
    traced = tensors_of(function, *ARGUMENTS, plain=values)
    assert_same(renewed.operations, traced.operations)
    assert_same(to_circuit(renewed).nodes, to_circuit(traced).nodes)
    x = values_of(ARGUMENTS[0])
    expected = jax.tree.leaves(function(x, *values))
    for found, wanted in zip(evaluate(renewed, [x, None, None]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_function_is_not_called_again():
    calls = []

    def function(x, w, b):
        calls.append(1)
        return x @ w

    graph = tensors_of(function, *ARGUMENTS, plain=plain_values(0))
    graph.with_plain(plain_values(1))
    assert len(calls) == 1


def test_only_what_follows_from_arguments_is_kept():
    graph = tensors_of(lambda x, w, b: x @ (jnp.exp(constant(3, 3)) * w), *ARGUMENTS, plain=plain_values(0))
    assert len(graph.plain.steps) == 1
    graph = tensors_of(lambda x: x @ jnp.exp(constant(3, 3)), ARGUMENTS[0])
    assert not graph.plain.steps and graph.plain.arguments == 0


def test_values_for_which_an_operation_is_not_defined():
    graph = tensors_of(lambda x, w, b: x / w[:1], *ARGUMENTS, plain=plain_values(0))
    with pytest.raises(ValueError, match=r"div \(test_plain_program.py:.*plain zero"):
        graph.with_plain([np.zeros((3, 3), np.float32), plain_values(0)[1]])


def test_an_exponent_is_no_argument():
    with pytest.raises(ValueError, match="exponent is a plain argument"):
        tensors_of(lambda x, w, b: x ** b[0], *ARGUMENTS, plain=plain_values(0))


def test_repeated_views_are_not_copied():
    bias = np.broadcast_to(np.arange(3, dtype=np.float32), (1000, 3))
    (found,) = elementwise(np.negative, bias)
    assert found.strides[0] == 0 and found.dtype == np.float64
    assert compacted(bias).shape == (1, 3)
    np.testing.assert_array_equal(found, -bias)
    graph = tensors_of(
        lambda x, w, b: x - jnp.broadcast_to(b[None], (4, 3)), *ARGUMENTS, plain=plain_values(0)
    )
    assert graph.operations[-1].term.array.strides[0] == 0
    assert graph.with_plain(plain_values(1)).operations[-1].term.array.strides[0] == 0


def test_values_that_a_jitted_function_closes_over():
    graph = tensors_of(FUNCTIONS["computed"], *ARGUMENTS, plain=plain_values(0))
    found = []

    def call(number):
        found.append(graph.with_plain(plain_values(1)))
        return number

    jax.jit(call)(1.0)
    assert_same(found[0].operations, graph.with_plain(plain_values(1)).operations)
