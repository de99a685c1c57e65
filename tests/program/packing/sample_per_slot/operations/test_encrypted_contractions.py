"""Matrix products of two encrypted arrays, in every layout, with one relinearisation for each sum."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from circuits import data
from small_programs import check, run, shared, small
from traced_functions import check_clear, constant, encrypted, refusals, traced

import fhejax
from fhejax import ckks
from fhejax.program.circuit.nodes import Combine, ElementwiseProduct, InnerProduct, Linear, SlotSum
from fhejax.program.circuit.nodes.inner_product import inner_products
from fhejax.program.tensor.refusals import NotPolynomialError

# equation, shapes, and the axis of each operand that lies in the slots
PRODUCTS = [
    ("bi,io->bo", (6, 3), (3, 2), 0, None),
    ("io,bi->bo", (3, 2), (6, 3), None, 0),
    ("oi,bi->ob", (2, 3), (6, 3), None, 0),
    ("ib,io->ob", (3, 6), (3, 2), 1, None),
    ("bi,bo->io", (6, 3), (6, 2), 0, 0),
    ("bi,ob->oi", (6, 3), (2, 6), 0, 1),
    ("bi,bi->b", (6, 3), (6, 3), 0, 0),
    ("bi,bi->", (6, 3), (6, 3), 0, 0),
    ("bi,bij->bj", (6, 3), (6, 3, 2), 0, 0),
    ("ibj,bj->bi", (3, 6, 2), (6, 2), 1, 0),
    ("gbi,gbo->gio", (2, 6, 3), (2, 6, 4), 1, 1),
    ("bgi,gio->bgo", (6, 2, 3), (2, 3, 4), 0, None),
    ("ij,jk->ik", (3, 2), (2, 4), None, None),
    ("gij,gjk->kgi", (2, 3, 4), (2, 4, 5), None, None),
    ("i,o->io", (3,), (2,), None, None),
    ("b,io->bio", (6,), (3, 2), 0, None),
    ("b,->b", (6,), (), 0, None),
]


@pytest.mark.parametrize("batch", [6, 8, 1])
@pytest.mark.parametrize("case", PRODUCTS, ids=lambda c: c[0])
def test_products_in_the_clear(case, batch):
    equation, *shapes, first, second = case
    x, y = (
        encrypted(tuple(batch if d == a else s for d, s in enumerate(shape)), a)
        for shape, a in zip(shapes, (first, second), strict=True)
    )

    def function(x, y):
        return jnp.einsum(equation, x, y)

    check_clear(function, x, y)
    check_clear(lambda x, y: function(2 * x + 1, 1 - y) * 3 + 1, x, y)


@pytest.mark.parametrize("batch", [6, 8])
def test_factors_that_differ_within_a_sum(batch):
    x, w = encrypted((batch, 3)), encrypted((3, 2), None)
    check_clear(lambda x, w: (x * constant(1, 3)) @ w, x, w)
    check_clear(lambda x, w: (x * constant(1, 3) + constant(1, 3)) @ (w * constant(3, 2) + 1), x, w)
    check_clear(lambda x, w: (x * jnp.array([[1.0, 0, 2]]) + 1) @ w, x, w)
    check_clear(
        lambda x, w: jnp.pad(x, ((0, 0), (1, 1)), constant_values=0.5) @ jnp.pad(w, ((1, 1), (0, 0))), x, w
    )
    check_clear(lambda x, w: (x * constant(1, 3)).T @ (x @ w + 1), x, w)


def test_a_common_factor_makes_no_node():
    x, w = encrypted((4, 3)), encrypted((3, 2), None)
    kinds = [type(n) for n in traced(lambda x, w: (-x / 7) @ (w * constant(1, 2)), x, w).nodes[2:]]
    assert kinds == [InnerProduct]
    kinds = [type(n) for n in traced(lambda x, w: (x * constant(1, 3)) @ w, x, w).nodes[2:]]
    assert kinds == [Combine, InnerProduct]


def test_a_shared_value_along_the_batch_is_one_ciphertext():
    x, w = encrypted((4, 3)), encrypted((), None)
    graph = check_clear(lambda x, w: jnp.broadcast_to(w, (4,)) @ x, x, w)
    (product,) = [n for n in graph.nodes if isinstance(n, InnerProduct)]
    assert product.entries[0].shape == (3, 1)


def test_shared_and_batched_values_meet_elementwise():
    x, w, v = encrypted((4, 3)), encrypted((3,), None), encrypted((), None)

    def function(x, w, v):
        y = x * w[None] + v
        z = jnp.where(jnp.arange(3)[None] > 0, y, w[None]) - v * w[None]
        return z, jnp.concatenate([z, jnp.broadcast_to(w[None], (4, 3))], 1), (v - z) ** 2, (w * v) ** 3

    check_clear(function, x, w, v)


GRADIENTS = {
    "least squares": lambda w, x, y: jnp.mean((x @ w - y) ** 2),
    "a product of three": lambda w, x, y: jnp.mean((x @ w) * y * x[:, 0]),
    "of means": lambda w, x, y: jnp.mean(x @ w) ** 2 + jnp.mean(y),
    "regularised": lambda w, x, y: jnp.sum((x @ w + y) ** 3) + 0.1 * jnp.sum(w**2),
    "centred": lambda w, x, y: jnp.sum(((x - x.mean(0, keepdims=True)) @ w - y) ** 2),
}


@pytest.mark.parametrize("batch", [7, 8])
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_in_the_clear(name, batch):
    arguments = encrypted((3,), None), encrypted((batch, 3)), encrypted((batch,))
    check_clear(jax.grad(GRADIENTS[name], (0, 1, 2)), *arguments)


def test_gradients_of_a_network_in_the_clear():
    def loss(p, q, x, y):
        hidden = (x @ p + q[:1]) ** 2
        return jnp.mean(jnp.sum((hidden @ p.T + q[1:, :2] - y) ** 2, 1))

    arguments = [encrypted((2, 3), None), encrypted((2, 3), None), encrypted((8, 2)), encrypted((8, 2))]
    check_clear(jax.grad(loss, (0, 1)), *arguments)


def test_data_that_the_server_knows():
    """Plain data times encrypted weights are linear; the labels are encrypted."""
    x = constant(5, 3)

    def function(w, y):
        return jax.grad(lambda w: jnp.mean((x @ w - y) ** 2))(w)

    graph = check_clear(function, encrypted((3,), None), encrypted((5,), None))
    assert not any(isinstance(n, InnerProduct | ElementwiseProduct | SlotSum) for n in graph.nodes)
    assert any(isinstance(n, Linear) for n in graph.nodes)


REFUSED = {
    "samples with samples": lambda x: x @ x.T,
    "samples with features": lambda x: x @ x,
    "samples along both axes": lambda x: jnp.einsum("bi,cj->bc", x, x),
    "one operand's samples are summed": lambda x: jnp.einsum("bi,ib->i", x, x),
    "grouped with features": lambda x: jnp.einsum("bi,ib->b", x, x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_samples_cannot_meet(name):
    assert "only the same samples can meet" in refusals(REFUSED[name], fhejax.Encrypted((4, 4)))


def test_a_shared_value_that_differs_along_the_samples_is_refused():
    with pytest.raises(NotPolynomialError, match="encrypt what differs as an argument with a batch_axis"):
        traced(lambda x, w: x.T @ w, encrypted((4, 3)), encrypted((4,), None))


def exact_inner_products(x, y, pairs, moduli):
    """Three components of sums of products, in Python's integers."""
    outputs, length = pairs.shape[1:]
    result = np.zeros((outputs, 3, *x.shape[2:]), object)
    for o in range(outputs):
        for k in range(length):
            i, j = int(pairs[0, o, k]), int(pairs[1, o, k])
            if i >= 0 and j >= 0:
                a, b = x[i].astype(object), y[j].astype(object)
                result[o] += np.stack([a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[1] * b[1]])
    return result % np.array(moduli, object)[:, None]


@pytest.mark.parametrize("length", [1, 3, 8, 9, 20])
def test_inner_products_are_exact(length):
    params = ckks.insecure_parameters(16, 2, 30)
    moduli = params.level_moduli(2)
    generator = np.random.default_rng(length)
    limit = np.array(moduli)[:, None]
    x, y = (generator.integers(0, limit, (4, 2, len(moduli), 16)).astype(np.uint32) for _ in range(2))
    x[0], y[0] = limit - 1, limit - 1  # the largest sums there can be
    pairs = generator.integers(-1, 4, (2, 3, length)).astype(np.int32)
    pairs[:, 0] = 0
    key = jnp.zeros(4, jnp.uint32)
    first, second = (
        ckks.Ciphertext(jnp.asarray(a), key, params, 2, params.scales[2], "evaluation") for a in (x, y)
    )
    expected = exact_inner_products(x, y, pairs, moduli)
    np.testing.assert_array_equal(inner_products(first, second, jnp.asarray(pairs)), expected)
    jitted = jax.jit(inner_products)(first, second, jnp.asarray(pairs))
    np.testing.assert_array_equal(jitted, expected)


def products(x, w, v):
    y = x @ w
    return {
        "batched and shared": y,
        "shared and shared": w @ v,
        "batched and batched": jnp.einsum("bi,bi->b", x, x + 1),
        "over the batch": x.T @ y,
        "after an offset": (x + 0.5) @ (w - 0.25) + v[:1],
        "chain": (y @ v) * x.mean(),
    }


@pytest.fixture(scope="module")
def program():
    return small(products, fhejax.Encrypted((8, 3)), shared(3, 2), shared(2, 2))


def test_products_on_ciphertexts(program):
    secret, keys = program.keygen()
    values = data(8, 3), data(3, 2), data(2, 2)
    found = run(program, secret, keys, *values)
    check(found, products(*values))
    check(program.clear(*values), products(*values), 18)


def test_sums_of_products_are_relinearised_once(program):
    steps = program.plan.steps
    for number, step in enumerate(steps):
        if step.operation == "inner_product":
            assert step.components == 3
            readers = [s for s in steps if number in s.sources and s.operation == "relinearise"]
            assert all(s.size == step.size for s in readers)
    assert max(s.size for s in steps if s.operation == "inner_product") == 6  # of 3 times 2 entries


def test_encrypted_and_plain_arguments_change_places():
    """The same function with any of its arguments plain."""

    def function(x, w):
        return jax.grad(lambda w: jnp.mean((x @ w) ** 2))(w), x @ w

    x, w = data(8, 3), data(3)
    for argument in (shared(3), fhejax.Plain((3,))):
        program = small(function, fhejax.Encrypted((8, 3)), argument)
        check(program.clear(x, w), function(x, w), 18)
        check(program.simulate(x, w), function(x, w))
    fixed = small(lambda x: function(x, jnp.asarray(w)), fhejax.Encrypted((8, 3)))
    check(fixed.simulate(x), function(x, w))
    assert fixed.plan.depth == program.plan.depth == 1


def test_a_shared_array_that_was_altered(program):
    secret, keys = program.keygen()
    x, w, v = program.encrypt(secret, data(8, 3), data(3, 2), data(2, 2))
    twice = dataclasses.replace(w, data=jnp.concatenate([w.data] * 2))
    with pytest.raises(ValueError, match="altered"):
        program(keys, x, twice, v)
