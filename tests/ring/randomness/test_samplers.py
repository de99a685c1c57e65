"""Samplers: exact against Python integers; in distribution, by checks that catch broken ones."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fhejax.ring.randomness import samplers
from fhejax.ring.randomness.chacha20 import CHACHA20, key_from_bytes

PRIMES = (1_073_741_789, 805_306_457, 536_903_681, 12_289)
COUNT = 1 << 21
BATCH, DEGREE = (COUNT >> 13,), 1 << 13


def fresh_key(number: int) -> jax.Array:
    return key_from_bytes(bytes([number]) * 32)


# Each check raises AssertionError for samples that do not come from its distribution. Samples of a
# correct sampler fail one of them with a probability of about 1e-6.


def check_frequencies(observed: np.ndarray, expected: np.ndarray) -> None:
    p = stats.chisquare(observed, expected).pvalue
    assert 1e-7 < p < 1 - 1e-7, p


def check_no_correlation(values: np.ndarray) -> None:
    """Neighbours, and coefficients half and one whole polynomial apart, are unrelated."""
    centred = values.astype(np.float64) - values.mean()
    for lag in (1, 2, DEGREE // 2, DEGREE):
        correlation = np.mean(centred[lag:] * centred[:-lag]) / np.mean(centred**2)
        assert abs(correlation) < 6 / math.sqrt(len(centred)), lag


def binomial_probabilities() -> np.ndarray:
    return np.array([math.comb(42, k) / 2**42 for k in range(43)])


def check_centred_binomial(values: np.ndarray) -> None:
    assert abs(values).max() <= 21
    deviation = math.sqrt(10.5)
    assert abs(values.std() / deviation - 1) < 0.005
    assert abs(values.mean()) < 6 * deviation / math.sqrt(len(values))
    observed = np.bincount(values.astype(int) + 21, minlength=43)
    expected = binomial_probabilities() * len(values)
    common = expected > 20
    rare = ~common
    check_frequencies(
        np.append(observed[common], observed[rare].sum()),
        np.append(expected[common], expected[rare].sum()),
    )
    check_no_correlation(values)


def check_ternary(values: np.ndarray) -> None:
    assert set(np.unique(values)) <= {-1, 0, 1}
    observed = np.bincount(values.astype(int) + 1, minlength=3)
    check_frequencies(observed, np.full(3, len(values) / 3))
    pairs = np.bincount((values[::2].astype(int) + 1) * 3 + values[1::2] + 1, minlength=9)
    check_frequencies(pairs, np.full(9, len(values) / 18))
    check_no_correlation(values)


def check_uniform(values: np.ndarray, modulus: int) -> None:
    assert values.min() >= 0
    assert values.max() < modulus
    wide = values.astype(np.int64)
    bins = min(256, modulus)
    edges = -(-np.arange(bins + 1) * modulus // bins)
    observed = np.bincount(wide * bins // modulus, minlength=bins)
    check_frequencies(observed, np.diff(edges) / modulus * len(values))
    for bit in range(modulus.bit_length()):
        ones = sum_of_bit(modulus, bit) / modulus * len(values)
        spread = math.sqrt(max(ones * (1 - ones / len(values)), 1))
        assert abs((wide >> bit & 1).sum() - ones) < 6 * spread, bit
    check_no_correlation(values)
    check_collisions(values, modulus)


def sum_of_bit(modulus: int, bit: int) -> int:
    """How many of the integers below `modulus` have this bit set."""
    full, rest = divmod(modulus, 2 << bit)
    return (full << bit) + max(0, rest - (1 << bit))


def check_collisions(values: np.ndarray, modulus: int) -> None:
    """As many equal pairs as chance gives: a repeated block has more, a permutation fewer."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    expected = len(values) * (len(values) - 1) / 2 / modulus
    assert abs((counts * (counts - 1) / 2).sum() - expected) < 6 * math.sqrt(expected)


# The samplers themselves.


def test_centred_binomial_distribution():
    values = samplers.centred_binomial(fresh_key(1), BATCH, DEGREE)
    assert (values.shape, values.dtype) == ((*BATCH, DEGREE), jnp.int8)
    check_centred_binomial(np.asarray(values).reshape(-1))


def test_ternary_distribution():
    values = samplers.ternary(fresh_key(2), BATCH, DEGREE)
    assert (values.shape, values.dtype) == ((*BATCH, DEGREE), jnp.int8)
    check_ternary(np.asarray(values).reshape(-1))


def test_uniform_distribution():
    values = samplers.uniform(fresh_key(3), PRIMES, BATCH, DEGREE)
    assert (values.shape, values.dtype) == ((*BATCH, len(PRIMES), DEGREE), jnp.uint32)
    for limb, modulus in enumerate(PRIMES):
        check_uniform(np.asarray(values[:, limb]).reshape(-1), modulus)


def test_limbs_are_independent():
    values = np.asarray(samplers.uniform(fresh_key(4), PRIMES[:3], (64,), DEGREE))
    scaled = values / np.array(PRIMES[:3])[:, None] - 0.5
    first, second, third = scaled.transpose(1, 0, 2).reshape(3, -1)
    for one, other in ((first, second), (second, third), (first, third)):
        assert abs(np.mean(one * other) * 12) < 6 / math.sqrt(one.size)


@pytest.mark.parametrize("weight", [0, 1, 64, 255, 256])
def test_fixed_weight(weight):
    values = np.asarray(samplers.ternary_fixed_weight(fresh_key(5), (3, 1000), 256, weight))
    assert values.shape == (3, 1000, 256)
    assert values.dtype == np.int8
    assert set(np.unique(values)) <= {-1, 0, 1}
    assert np.array_equal(np.count_nonzero(values, axis=-1), np.full((3, 1000), weight))
    if weight > 0:
        positive = (values == 1).sum()
        assert abs(positive - 1500 * weight) < 6 * math.sqrt(750 * weight)
    if 0 < weight < 256:
        occupied = np.count_nonzero(values.reshape(-1, 256), axis=0)
        # Places in one polynomial exclude each other: the statistic is smaller by (256 - w) / 256.
        statistic = ((occupied - 3000 * weight / 256) ** 2).sum() / (3000 * weight / 256)
        p = stats.chi2.sf(statistic * 255 / (256 - weight), 255)
        assert 1e-7 < p < 1 - 1e-7


# Broken samplers, each caught by the checks above.


def good_errors() -> np.ndarray:
    return np.asarray(samplers.centred_binomial(fresh_key(6), BATCH, DEGREE)).reshape(-1)


def rounded_gaussian(deviation: float, rounding: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    drawn = np.random.default_rng(1).normal(0, deviation, COUNT)
    return np.clip(rounding(drawn), -21, 21).astype(np.int8)


def coins(heads: int, tails: int) -> np.ndarray:
    generator = np.random.default_rng(2)
    return (generator.binomial(heads, 0.5, COUNT) - generator.binomial(tails, 0.5, COUNT)).astype(np.int8)


BROKEN_ERRORS = {
    "zero": lambda: np.zeros(COUNT, np.int8),
    "truncating": lambda: rounded_gaussian(math.sqrt(10.5), np.trunc),
    "gaussian for binomial": lambda: rounded_gaussian(math.sqrt(10.5), np.round),
    "deviation 2% large": lambda: rounded_gaussian(1.02 * math.sqrt(10.5), np.round),
    "deviation 2% small": lambda: rounded_gaussian(0.98 * math.sqrt(10.5), np.round),
    "20 coins": lambda: coins(20, 20),
    "22 coins": lambda: coins(22, 22),
    "one coin lost": lambda: coins(21, 20),
    "sign lost": lambda: abs(good_errors()),
    "stuck bit": lambda: good_errors() & ~1,
    "bound exceeded": lambda: np.where(np.arange(COUNT) == 5, np.int8(22), good_errors()),
    "repeated block": lambda: np.tile(good_errors()[:DEGREE], BATCH[0]),
    "each twice": lambda: np.repeat(good_errors()[: COUNT // 2], 2),
}


@pytest.mark.parametrize("name", BROKEN_ERRORS)
def test_broken_errors_are_caught(name):
    with pytest.raises(AssertionError):
        check_centred_binomial(BROKEN_ERRORS[name]())


def good_secret() -> np.ndarray:
    return np.asarray(samplers.ternary(fresh_key(7), BATCH, DEGREE)).reshape(-1)


BROKEN_SECRETS = {
    "zero": lambda: np.zeros(COUNT, np.int8),
    "sign lost": lambda: abs(good_secret()),
    "biased mod": lambda: (np.random.default_rng(3).integers(0, 256, COUNT) % 3 - 1).astype(int),
    "binary halves": lambda: np.random.default_rng(4).choice([-1, 0, 0, 1], COUNT),
    "two": lambda: np.random.default_rng(5).integers(-1, 3, COUNT),
    "repeated block": lambda: np.tile(good_secret()[:DEGREE], BATCH[0]),
    "mirrored": lambda: np.concatenate(2 * [good_secret()[: COUNT // 2].reshape(-1, 4096)], 1).reshape(-1),
    "stuck bit": lambda: good_secret() | 1,
}


@pytest.mark.parametrize("name", BROKEN_SECRETS)
def test_broken_secrets_are_caught(name):
    with pytest.raises(AssertionError):
        check_ternary(BROKEN_SECRETS[name]())


def good_residues(modulus: int) -> np.ndarray:
    return np.asarray(samplers.uniform(fresh_key(8), (modulus,), BATCH, DEGREE)).reshape(-1)


def drawn_below(bound: int) -> np.ndarray:
    return np.random.default_rng(6).integers(0, bound, COUNT)


def smallest_replaced_by(modulus: int, values: np.ndarray) -> np.ndarray:
    return np.where(values == values.min(), modulus, values)


BROKEN_RESIDUES = {
    "zero": lambda q: np.zeros(COUNT, np.int64),
    "biased mod": lambda q: drawn_below(1 << q.bit_length()) % q,
    "biased mod, two bits more": lambda q: drawn_below(4 << q.bit_length()) % q,
    "lazily reduced": lambda q: drawn_below(2 * q),
    "q included": lambda q: smallest_replaced_by(q, good_residues(q)),
    "top missing": lambda q: drawn_below(q - q // 512),
    "stuck low bit": lambda q: good_residues(q) & ~np.uint32(1),
    "stuck middle bit": lambda q: good_residues(q) & ~np.uint32(64),
    "sign lost": lambda q: np.minimum(good_residues(q), q - 1 - good_residues(q)),
    "repeated polynomial": lambda q: np.tile(good_residues(q)[:DEGREE], BATCH[0]),
    "repeated block": lambda q: np.repeat(good_residues(q)[: COUNT // 2].reshape(-1, 16), 2, 0).reshape(-1),
    "counting": lambda q: np.arange(COUNT) * 40_503 % q,
}


@pytest.mark.parametrize("modulus", [PRIMES[1], PRIMES[3]])
@pytest.mark.parametrize("name", BROKEN_RESIDUES)
def test_broken_residues_are_caught(name, modulus):
    with pytest.raises(AssertionError):
        check_uniform(BROKEN_RESIDUES[name](modulus), modulus)


# Exactness.


def python_uniform(key: jax.Array, index: int, modulus: int, degree: int) -> list[int]:
    key = jax.random.fold_in(jax.random.fold_in(key, index), modulus)
    words = np.asarray(jax.random.bits(key, (3, degree), jnp.uint32)).tolist()
    return [(a + (b << 32) + (c << 64)) % modulus for a, b, c in zip(*words, strict=True)]


@pytest.mark.parametrize("make_key", [lambda: fresh_key(9), lambda: jax.random.key(9)])
def test_uniform_is_as_documented(make_key):
    moduli = (2, 3, 257, 2**29 - 1, 2**29, 2**29 + 1, 2**30 - 2, 2**30 - 1)
    values = np.asarray(samplers.uniform(make_key(), moduli, (2, 3), 50))
    for index in range(6):
        for limb, modulus in enumerate(moduli):
            expected = python_uniform(make_key(), index, modulus, 50)
            assert values[divmod(index, 3)][limb].tolist() == expected


# Computed in Python integers from the documented definition.
GOLDEN = [
    [
        [937657685, 710765124, 526321568, 380027707],
        [599429082, 632192980, 548549628, 476829960],
    ],
    [
        [232166502, 500694425, 279962271, 557491386],
        [113496856, 372205510, 407048172, 740325461],
    ],
]


def test_seed_expansion_never_changes():
    values = np.asarray(samplers.uniform(fresh_key(10), PRIMES[:2], (2,), 4))
    assert values.tolist() == GOLDEN


def test_fewer_limbs_keep_their_residues():
    whole = np.asarray(samplers.uniform(fresh_key(11), PRIMES, (3,), 64))
    part = np.asarray(samplers.uniform(fresh_key(11), (PRIMES[2], PRIMES[0]), (3,), 64))
    assert np.array_equal(part, whole[:, [2, 0]])
    assert np.array_equal(samplers.uniform(fresh_key(11), PRIMES, (), 64), whole[0])


def extreme_words(count: int) -> np.ndarray:
    edges = [0, 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1]
    grid = np.stack(np.meshgrid(*count * [edges]), 0).reshape(count, -1)
    drawn = np.random.default_rng(7).integers(0, 2**32, (count, 2000))
    return np.concatenate([grid, drawn], axis=1).astype(np.uint32)


@pytest.mark.parametrize("words", [1, 2, 3])
@pytest.mark.parametrize("modulus", [2, 3, 5, 12_289, 2**29 + 1, 2**30 - 35, 2**30 - 1])
def test_reduction_is_exact(words, modulus):
    drawn = extreme_words(words)
    with jax.enable_x64(True):
        row = jnp.asarray(samplers._reduction_table((modulus,), words)[0])
        result = jax.jit(samplers._residues)(jnp.asarray(drawn), row)
    numbers = [sum(w << 32 * j for j, w in enumerate(column)) for column in drawn.T.tolist()]
    assert np.asarray(result).tolist() == [number % modulus for number in numbers]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_signed_to_residues_is_exact(dtype):
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    edges = [low, low + 1, -21, -3, -2, -1, 0, 1, 2, 21, high - 1, high]
    drawn = np.random.default_rng(8).integers(low, high, (3, 60), endpoint=True).tolist()
    values = np.array([edges * 5, *drawn], dtype)
    moduli = (2, 3, 127, 12_289, 2**30 - 35)
    result = np.asarray(samplers.signed_to_residues(jnp.asarray(values), moduli))
    assert (result.shape, result.dtype) == ((4, 5, 60), np.uint32)
    expected = [[[v % q for v in row] for q in moduli] for row in values.tolist()]
    assert result.tolist() == expected
    assert samplers.signed_to_residues(values[0], moduli).tolist() == expected[0]


SAMPLERS = {
    "uniform": lambda key: samplers.uniform(key, PRIMES, (2,), 32),
    "ternary": lambda key: samplers.ternary(key, (2,), 32),
    "fixed weight": lambda key: samplers.ternary_fixed_weight(key, (2,), 32, 9),
    "centred binomial": lambda key: samplers.centred_binomial(key, (2,), 32),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_jit_and_vmap_and_wide_types_change_nothing(name):
    sampler = SAMPLERS[name]
    words = jnp.arange(24, dtype=jnp.uint32).reshape(3, 8)

    def key_of(row):
        return jax.random.wrap_key_data(row, impl=CHACHA20)

    plain = [np.asarray(sampler(key_of(row))) for row in words]
    assert np.array_equal(np.asarray(jax.vmap(sampler)(key_of(words))), np.stack(plain))
    assert np.array_equal(jax.jit(sampler)(key_of(words[0])), plain[0])
    with jax.enable_x64(True):
        assert np.array_equal(sampler(key_of(words[0])), plain[0])


def test_secret_samplers_consume_their_key():
    for name in ("ternary", "fixed weight", "centred binomial"):
        key = fresh_key(12)
        SAMPLERS[name](key)
        with pytest.raises(jax.errors.KeyReuseError):
            SAMPLERS[name](key)


@pytest.mark.parametrize("moduli", [(), (1,), (0,), (-3,), (2**30,), (5, 7, 5)])
def test_senseless_moduli_are_refused(moduli):
    with pytest.raises(ValueError, match="distinct moduli from 2"):
        samplers.uniform(fresh_key(13), moduli, (), 8)
    with pytest.raises(ValueError, match="distinct moduli from 2"):
        samplers.signed_to_residues(jnp.zeros(8, jnp.int8), moduli)


@pytest.mark.parametrize(("batch", "degree"), [((), 0), ((-1,), 8), ((2**33,), 8)])
def test_senseless_shapes_are_refused(batch, degree):
    for sampler in (samplers.ternary, samplers.centred_binomial):
        with pytest.raises(ValueError, match="a degree of at least 1"):
            sampler(fresh_key(14), batch, degree)
    with pytest.raises(ValueError, match="a degree of at least 1"):
        samplers.uniform(fresh_key(14), PRIMES, batch, degree)


def test_no_polynomials_are_drawn_where_none_are_asked_for():
    for sampler in (samplers.ternary, samplers.centred_binomial):
        assert sampler(fresh_key(14), (2, 0), 8).shape == (2, 0, 8)
    drawn = samplers.uniform(fresh_key(14), PRIMES, (0,), 8)
    assert (drawn.shape, drawn.dtype) == ((0, len(PRIMES), 8), jnp.uint32)
    assert samplers.signed_to_residues(jnp.zeros((0, 8), jnp.int8), PRIMES).shape == (0, len(PRIMES), 8)


def test_senseless_weights_and_values_are_refused():
    for weight in (-1, 9):
        with pytest.raises(ValueError, match=f"weight of {weight} was asked"):
            samplers.ternary_fixed_weight(fresh_key(15), (), 8, weight)
    for dtype in (jnp.uint32, jnp.float32, jnp.uint8, jnp.bool_):
        with pytest.raises(TypeError, match="int8, int16 or int32"):
            samplers.signed_to_residues(jnp.zeros(8, dtype), PRIMES)
    with pytest.raises(ValueError, match="of a scalar"):
        samplers.signed_to_residues(jnp.zeros((), jnp.int8), PRIMES)


@pytest.mark.parametrize("name", SAMPLERS)
def test_anything_but_one_typed_key_is_refused(name):
    for wrong in (7, jnp.zeros(8, jnp.uint32), jax.random.split(fresh_key(16), 2), b"0" * 32):
        with pytest.raises(TypeError, match="one typed JAX key is needed"):
            SAMPLERS[name](wrong)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_lowers_for_every_platform(platform):
    traced = jax.jit(lambda key: samplers.uniform(key, PRIMES, (50,), 1 << 15)).trace(fresh_key(17))
    assert "while" in traced.lower(lowering_platforms=(platform,)).as_text()
