"""Exact modular matrix products against Python integers, both methods."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import primes_for

from fhejax.ring import Ring, modular_matrix_product, product_method

DEGREE = 16
MODULI = (*primes_for(Ring(DEGREE), 2), *primes_for(Ring(DEGREE), 1, 15))
Q = np.array(MODULI, object)[:, None]
METHODS = ("float64", "int8")


def residues(entries: int, polys: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    x = np.stack([generator.integers(0, q, (entries, polys, DEGREE)) for q in MODULI], 2)
    x[..., 0] = 0
    x[..., 1] = np.array(MODULI) - 1
    x[..., 2] = np.array(MODULI) // 2
    x[..., 3] = np.array(MODULI) // 2 + 1
    return x.astype(np.uint32)


def weights(groups: int, outs: int, length: int, bound: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    w = generator.integers(-bound, bound + 1, (groups, outs, length))
    w[0, 0], w[0, -1] = bound, -bound
    return w.astype(np.int32)


def expected(w, x, entries=None, bias=None, square=False) -> np.ndarray:
    w, x = w.astype(object), x.astype(object)
    if square:
        first, second = x[:, 0], x[:, 1]
        x = np.stack([first * first, 2 * first * second, second * second], 1)
    x = np.concatenate([x, 0 * x[:1]])
    if entries is None:
        entries = np.arange(len(x) - 1)[None, :, None]
    result = np.einsum("gok,gkpcln->gopcln", w, x[entries])
    if bias is not None:
        shift = bias.astype(object).reshape(*result.shape[:3], 1, len(MODULI), 1)
        result = result + np.concatenate([shift] + [0 * shift] * (result.shape[3] - 1), 3)
    return result % Q


def check(result, reference) -> None:
    assert result.dtype == jnp.uint32
    assert result.shape == reference.shape
    assert (np.asarray(result).astype(object) == reference).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bound", [1, 127, 128, 2**15, 2**22, 2**31 - 1])
def test_every_size_of_weights(bound, method):
    """One digit up to four, with all terms at their largest and of one sign in the outer rows."""
    w, x = weights(1, 3, 40, bound), residues(40, 2)
    result = modular_matrix_product(w, jnp.asarray(x), MODULI, bound, method=method)
    check(result, expected(w, x))


@pytest.mark.parametrize("method", METHODS)
def test_long_sums_of_the_largest_terms(method):
    length, bound = 1030, 2**20
    x = np.repeat(residues(1, 1), length, axis=0)
    w = np.full((1, 2, length), bound, np.int32)
    w[0, 1] = -bound
    result = modular_matrix_product(w, jnp.asarray(x), MODULI, bound, method=method)
    check(result, expected(w, x))


ENTRIES = np.array(
    [
        [[0, 4, -1], [1, 1, 5], [-1, -1, -1], [2, -1, 0]],
        [[5, 3, 2], [-1, 0, 1], [4, 4, 4], [0, 5, -1]],
    ],
    np.int32,
)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("square", [False, True])
def test_groups_positions_absent_entries_squares_and_bias(square, method):
    w, x = weights(2, 3, 4, 300), residues(6, 2)
    bias = np.stack([np.arange(18) * 997 % q for q in MODULI], 1).astype(np.uint32)
    bias[0] = np.array(MODULI) - 1
    options = {"square": square, "method": method}
    plain = modular_matrix_product(w, jnp.asarray(x), MODULI, 300, ENTRIES, **options)
    check(plain, expected(w, x, ENTRIES, square=square))
    biased = modular_matrix_product(w, jnp.asarray(x), MODULI, 300, ENTRIES, bias, **options)
    check(biased, expected(w, x, ENTRIES, bias, square))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tile", [1, 4, 12, 512])
def test_tiles_change_nothing(tile, method):
    w, x = weights(1, 2, 5, 1000), residues(5, 2)
    result = modular_matrix_product(w, jnp.asarray(x), MODULI, 1000, tile=tile, method=method)
    check(result, expected(w, x))


@pytest.mark.parametrize("method", METHODS)
def test_jit_and_vmap_over_blocks(method):
    w, blocks = weights(2, 3, 4, 300), np.stack([residues(6, 2, seed) for seed in (1, 2)])

    def one(x):
        return modular_matrix_product(w, x, MODULI, 300, ENTRIES, square=True, method=method)

    results = jax.jit(jax.vmap(one))(jnp.asarray(blocks))
    for result, x in zip(results, blocks, strict=True):
        check(result, expected(w, x, ENTRIES, square=True))


def test_the_method_follows_the_platform():
    assert product_method("cpu") == "float64"
    assert product_method("cuda") == product_method("tpu") == "int8"


def test_the_longest_sums_of_one_digit_are_exact():
    """Sums just below 2**53, of residues as they are and centred; beyond, weights are cut in two."""
    length, largest = 1024, np.array(MODULI, np.uint32)[:, None] - 1
    cases = [(2**23 // length - 1, largest), (2**24 // length - 1, largest // 2)]
    cases += [(bound, largest // 2 + 1) for bound in (2**24 // length - 1, 2**24 // length)]
    for bound, value in cases:
        x = np.broadcast_to(value, (length, 1, len(MODULI), DEGREE))
        w = np.full((1, 2, length), bound, np.int32)
        w[0, 1] = -bound
        result = modular_matrix_product(w, jnp.asarray(x), MODULI, bound, method="float64")
        check(result, expected(w, x))


@pytest.mark.parametrize("method", METHODS)
def test_entries_in_several_arrays(method):
    w, x = weights(2, 3, 4, 100), jnp.asarray(residues(6, 2))
    entries = np.random.default_rng(0).integers(-1, 6, (2, 4, 5)).astype(np.int32)
    parts = [x[:1], x[1:4], x[4:]]
    result = modular_matrix_product(w, parts, MODULI, 100, entries, method=method)
    check(result, expected(w, np.asarray(x), entries))


@pytest.mark.parametrize("length", [1, 4, 8, 9])
@pytest.mark.parametrize("square", [False, True])
def test_sums_and_differences_of_a_few_entries(length, square):
    """In 64-bit integers up to eight terms, all as large as can be in the first, by the methods beyond."""
    x = residues(12, 2)
    x[:, :, :, 1] = np.array(MODULI) - 1
    generator = np.random.default_rng(length)
    w = generator.integers(-1, 2, (3, 1, length)).astype(np.int32)
    w[0], w[1] = 1, -1
    entries = generator.integers(-1, 12, (3, length, 5)).astype(np.int32)
    result = modular_matrix_product(w, jnp.asarray(x), MODULI, 1, entries, square=square)
    check(result, expected(w, x, entries, square=square))
    bias = np.stack([generator.integers(0, q, 15) for q in MODULI], 1).astype(np.uint32)
    result = modular_matrix_product(w, jnp.asarray(x), MODULI, 1, entries, bias, square=square)
    check(result, expected(w, x, entries, bias, square))
