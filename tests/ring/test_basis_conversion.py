"""Conversion between bases and division by primes, against Python's big integers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import compose, decompose, primes_for

from fhejax.ring import Ring, convert_basis, divide_by_moduli, inverse_ntt, multiply_integers, ntt

DEGREE = 16
RING = Ring(DEGREE)
PRIMES = primes_for(RING, 40)
SMALL = primes_for(RING, 2, 20)


def samples(modulus: int, count: int = DEGREE) -> list[int]:
    """Centred integers: edges (half the modulus off by a relative 2^-40) and a spread between."""
    half = modulus // 2
    margin = half >> 40
    edges = [0, 1, -1, half - margin, margin - half, half // 2, -half // 3]
    generator = np.random.default_rng(modulus % 2**32)
    spread = [int(generator.integers(-(2**62), 2**62)) * half >> 62 for _ in range(count)]
    return (edges + spread)[:count]


CASES = {
    "one limb": (PRIMES[:1], PRIMES[1:4]),
    "one small limb": (SMALL[:1], PRIMES[:2]),
    "down": (PRIMES[:5], SMALL),
    "up": (SMALL, PRIMES[:7]),
    "more than one sum holds": (PRIMES[:17], PRIMES[17:20]),
    "two folds": (PRIMES[:33], PRIMES[33:35]),
}


@pytest.mark.parametrize("case", CASES)
def test_conversion_is_exact_and_centred(case):
    source, target = CASES[case]
    values = samples(math.prod(source))
    result = convert_basis(jnp.asarray(decompose(values, source)), source, target)
    assert result.dtype == jnp.uint32
    assert (np.asarray(result) == decompose(values, target)).all()


def test_a_single_prime_is_centred_to_the_last_integer():
    (q,) = source = PRIMES[:1]
    values = [q // 2, q // 2 + 1 - q, q // 2 - 1, -1] * (DEGREE // 4)
    result = convert_basis(jnp.asarray(decompose(values, source)), source, PRIMES[1:3])
    assert (np.asarray(result) == decompose(values, PRIMES[1:3])).all()


def test_all_residues_at_their_largest():
    """Every limb q - 1 is -1 modulo the product: overflow counts at their extremes."""
    source, target = PRIMES[:33], PRIMES[33:36]
    x = np.repeat(np.array(source, np.uint32)[:, None] - 1, DEGREE, axis=1)
    assert (
        np.asarray(convert_basis(jnp.asarray(x), source, target)) == decompose([-1] * DEGREE, target)
    ).all()


def test_conversion_under_jit_vmap_and_leading_axes():
    source, target = PRIMES[:3], PRIMES[3:5]
    values = samples(math.prod(source), 6 * DEGREE)
    x = decompose(values, source).reshape(3, 2, 3, DEGREE).transpose(1, 2, 0, 3)
    expected = decompose(values, target).reshape(2, 2, 3, DEGREE).transpose(1, 2, 0, 3)
    x, expected = jnp.asarray(np.ascontiguousarray(x)), expected
    one = jax.jit(lambda item: convert_basis(item, source, target))
    assert (one(x) == expected).all()
    assert (jax.vmap(jax.vmap(one))(x) == expected).all()


def test_multiplication_by_integers():
    factors = (0, 1, PRIMES[2] - 1)
    x = decompose(samples(math.prod(PRIMES[:3])), PRIMES[:3])
    result = np.asarray(multiply_integers(jnp.asarray(x), PRIMES[:3], factors))
    for row, found, q, factor in zip(x, result, PRIMES, factors, strict=False):
        assert found.tolist() == [int(v) * factor % q for v in row]


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(("kept", "dropped"), [(3, 1), (1, 1), (2, 3), (1, 18)])
def test_division_rounds_to_the_nearest(kept, dropped, real):
    ring = Ring(DEGREE, real)
    moduli = primes_for(ring, kept + dropped)
    divisor = math.prod(moduli[kept:])
    values = samples(math.prod(moduli))
    offsets = [0, 1, -1, divisor // 2 - (divisor >> 30), (divisor >> 30) - divisor // 2]
    values[:5] = [7 * divisor + offset for offset in offsets]
    x = ntt(jnp.asarray(decompose(values, moduli)), ring, moduli)
    result = divide_by_moduli(x, ring, moduli, moduli[:kept])
    found = np.asarray(inverse_ntt(result, ring, moduli[:kept]))
    nearest = [(2 * v + divisor) // (2 * divisor) for v in values]
    assert nearest[:5] == [7] * 5
    assert (found == decompose(nearest, moduli[:kept])).all()


def test_division_of_a_batch_is_the_division_of_each():
    moduli = PRIMES[:4]
    generator = np.random.default_rng(3)
    x = np.stack([generator.integers(0, q, (2, DEGREE)) for q in moduli], 1)
    x = jnp.asarray(x.astype(np.uint32))
    one = jax.jit(lambda item: divide_by_moduli(item, RING, moduli, moduli[:2]))
    expected = jnp.stack([one(item) for item in x])
    assert (one(x) == expected).all()
    assert (jax.vmap(one)(x) == expected).all()


def test_the_reference_composes_what_it_decomposes():
    values = samples(math.prod(PRIMES[:3]))
    rows = decompose(values, PRIMES[:3])
    assert [compose(rows[:, i].tolist(), PRIMES[:3]) for i in range(DEGREE)] == values
