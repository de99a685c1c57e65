"""Arithmetic on residues against Python integers, at the bounds each function promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhejax.ring import modular
from fhejax.ring.primes import ntt_primes
from fhejax.ring.wide import wide

MODULI = (*tuple(ntt_primes(float(bits), 32, 1)[0] for bits in range(14, 31)), 12289, 1073741789)
EDGES = [0, 1, 2, 2**16 - 1, 2**31, 2**32 - 2, 2**32 - 1]
COUNT = 64
Q = np.array(MODULI, dtype=object)[:, None]


def residues(seed: int = 0) -> np.ndarray:
    """uint32 [limb, COUNT] below the moduli, with all edges."""
    generator = np.random.default_rng(seed)
    rows = []
    for q in MODULI:
        edges = [0, 1, 2, q // 2, q // 2 + 1, q - 2, q - 1]
        rest = generator.integers(0, q, COUNT - len(edges))
        rows.append(generator.permutation(np.concatenate([edges, rest])))
    return np.array(rows, np.uint32)


def words(seed: int = 0) -> np.ndarray:
    """Any 32-bit words, [limb, COUNT]."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 2**32, (len(MODULI), COUNT), np.uint32)
    values[:, : len(EDGES)] = EDGES
    return values


def exact(values: np.ndarray) -> np.ndarray:
    return np.asarray(values).astype(object)


def kernel(function):
    return jax.jit(wide(function))


def check(result: jax.Array, expected: np.ndarray) -> None:
    assert result.dtype == jnp.uint32
    assert (exact(result) == expected).all()


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("add", lambda x, y: (x + y) % Q),
        ("subtract", lambda x, y: (x - y) % Q),
    ],
)
def test_sums(name, operation):
    x, y = residues(1), residues(2)
    value = modular.constants(MODULI).value
    check(kernel(getattr(modular, name))(x, y, value), operation(exact(x), exact(y)))


def test_negate_and_fold():
    x, value = residues(3), modular.constants(MODULI).value
    check(kernel(modular.negate)(x, value), -exact(x) % Q)
    check(kernel(modular.fold)(x, value), exact(x))
    check(kernel(modular.fold)(x + value, value), exact(x))


def test_multiply_over_all_pairs_of_edges():
    x = np.repeat(residues(4)[:, :32], 32, axis=1)
    y = np.tile(residues(5)[:, :32], 32)
    edges = np.stack([np.array([0, 1, q // 2, q - 1], np.uint32) for q in MODULI])
    x = np.concatenate([x, np.repeat(edges, 4, axis=1)], 1)
    y = np.concatenate([y, np.tile(edges, 4)], 1)
    result = kernel(lambda a, b: modular.multiply(a, b, modular.constants(MODULI)))(x, y)
    check(result, exact(x) * exact(y) % Q)


def test_shoup_takes_any_word():
    x, constant = words(6), residues(7)
    quotients = np.array(
        [[modular.quotient(int(c), q) for c in row] for row, q in zip(constant, MODULI, strict=True)],
        np.uint32,
    )
    value = modular.constants(MODULI).value
    expected = exact(x) * exact(constant) % Q
    lazy = exact(kernel(modular.multiply_lazily)(x, constant, quotients, value))
    assert (lazy < 2 * Q).all()
    assert (lazy % Q == expected).all()
    check(kernel(modular.multiply_constant)(x, constant, quotients, value), expected)


def products(highest: list[int], seed: int) -> np.ndarray:
    """uint64 [limb, COUNT] below `highest`, with multiples of q and their neighbours."""
    generator = np.random.default_rng(seed)
    rows = []
    for q, top in zip(MODULI, highest, strict=True):
        last = top // q * q
        edges = [0, 1, q - 1, q, q + 1, last - q - 1, last - 1, last, top - 1]
        rest = [int(v) * top >> 62 for v in generator.integers(0, 2**62, COUNT - len(edges))]
        rows.append([min(max(v, 0), top - 1) for v in (*edges, *rest)])
    return np.array(rows, np.uint64)


def reduce_with(name: str):
    return kernel(lambda t: getattr(modular, name)(t, modular.constants(MODULI)))


def in_64_bits(values: np.ndarray) -> jax.Array:
    with jax.enable_x64(True):
        return jnp.asarray(values)


def test_reduce_product_up_to_its_bound():
    for seed in range(4):
        total = products([4 ** q.bit_length() for q in MODULI], seed)
        check(reduce_with("reduce_product")(in_64_bits(total)), exact(total) % Q)


def test_reduce_wide_takes_any_uint64():
    for seed in range(4):
        total = products([2**64] * len(MODULI), seed)
        check(reduce_with("reduce_wide")(in_64_bits(total)), exact(total) % Q)


def test_reduce_signed_up_to_its_bound():
    magnitude = products([2**63] * len(MODULI), 8).astype(np.int64)
    sign = np.where(np.arange(COUNT) % 2, -1, 1)
    for values in (magnitude * sign, magnitude * -sign):
        check(reduce_with("reduce_signed")(in_64_bits(values)), exact(values) % Q)


KERNELS = {name: reduce_with(name) for name in ("reduce_wide", "reduce_signed")}


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(-(2**63) + 1, 2**63 - 1))
def test_any_number_reduces_to_its_residue(total, signed):
    wide_total = in_64_bits(np.full((len(MODULI), COUNT), total, np.uint64))
    wide_signed = in_64_bits(np.full((len(MODULI), COUNT), signed, np.int64))
    assert (exact(KERNELS["reduce_wide"](wide_total))[:, :1] == total % Q).all()
    assert (exact(KERNELS["reduce_signed"](wide_signed))[:, :1] == signed % Q).all()


def test_vmap_agrees():
    x = np.stack([residues(9), residues(10)])
    y = np.stack([residues(11), residues(12)])
    multiply = kernel(lambda a, b: modular.multiply(a, b, modular.constants(MODULI)))
    check(jax.vmap(multiply)(x, y), exact(x) * exact(y) % Q)


@pytest.mark.parametrize("count", [1, 15, 16, 31, 50])
def test_sums_of_the_largest_products_do_not_overflow(count):
    """As residues of Python's integers, with and without something to begin with."""
    primes = (2**30 - 35, 2**29 - 3)
    column = np.array(primes, np.uint32)[:, None]
    x = jnp.asarray(np.broadcast_to(column - 1, (2, 4)))
    found = wide(modular.multiply_and_sum)([(x, x)] * count, modular.constants(primes))
    expected = [count * (q - 1) ** 2 % q for q in primes]
    np.testing.assert_array_equal(found, np.broadcast_to(np.array(expected)[:, None], (2, 4)))
    more = wide(modular.multiply_and_sum)([(x, x)] * count, modular.constants(primes), x)
    expected = [(count * (q - 1) ** 2 + q - 1) % q for q in primes]
    np.testing.assert_array_equal(more, np.broadcast_to(np.array(expected)[:, None], (2, 4)))
