"""Raising the modulus, against Python integers; and how large the overflows are that it leaves."""

import math
from fractions import Fraction

import jax
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks.bootstrapping.modulus_raising import raise_modulus
from fhejax.ckks.bootstrapping.overflow_distribution import (
    log2_failure_probability,
    overflow_probabilities,
    phase_tail,
    sample_overflow,
    smallest_bound,
)
from fhejax.ring import inverse_ntt

WEIGHT = 8


def integers(data: np.ndarray, moduli: tuple[int, ...]) -> np.ndarray:
    """The centred representatives of residues [limb, N], as Python integers [N]."""
    product = math.prod(moduli)
    parts = [int(product // q) * pow(product // q, -1, q) for q in moduli]
    total = (
        sum(np.asarray(row).astype(object) * part for row, part in zip(data, parts, strict=True)) % product
    )
    return np.where(total > product // 2, total - product, total)


def coefficients(ciphertext: ckks.Ciphertext) -> np.ndarray:
    """[poly, N] of one ciphertext, as Python integers."""
    data = inverse_ntt(ciphertext.data, ciphertext.params.ring, ciphertext.moduli)
    return np.stack([integers(np.asarray(part), ciphertext.moduli) for part in data])


def bottom(scheme: Scheme) -> ckks.Ciphertext:
    return ckks.drop_level(scheme.encrypt(scheme.numbers()), 0)


@pytest.mark.parametrize("level", [0, 2, 4])
def test_the_integers_stay(insecure_complex, level):
    x = bottom(insecure_complex)
    raised = raise_modulus(x, hamming_weight=WEIGHT, level=level)
    assert raised.level == level
    assert raised.scale.fraction() == math.prod(x.moduli)
    np.testing.assert_array_equal(coefficients(raised), coefficients(x))


def test_rational_levels():
    params = ckks.insecure_parameters(64, 4, 40, real=False, rational=True)
    secret = ckks.secret_key(ckks.random_key(), params)
    values = np.linspace(-1, 1, params.slots)
    x = ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, values, level=0))
    holding = [level for level in range(5) if set(params.levels[0]) <= set(params.levels[level])]
    for level in holding[1:2]:
        raised = raise_modulus(x, hamming_weight=WEIGHT, level=level)
        np.testing.assert_array_equal(coefficients(raised), coefficients(x))


def test_jit_and_batch(insecure_complex):
    x = bottom(insecure_complex)
    batch = x.replace(data=jax.numpy.stack([x.data, x.data]))
    jitted = jax.jit(lambda c: raise_modulus(c, hamming_weight=WEIGHT))(batch)
    expected = raise_modulus(x, hamming_weight=WEIGHT)
    for row in jitted.data:
        np.testing.assert_array_equal(row, expected.data)


def test_the_message_is_left_modulo_the_base(insecure_complex):
    values = insecure_complex.numbers()
    x = ckks.drop_level(insecure_complex.encrypt(values), 0)
    raised = raise_modulus(x, hamming_weight=WEIGHT)
    plain = ckks.decrypt(insecure_complex.secret, raised)
    phase = integers(np.asarray(inverse_ntt(plain.data, x.params.ring, raised.moduli)), raised.moduli)
    base = math.prod(x.moduli)
    lower = ckks.decrypt(insecure_complex.secret, x)
    message = integers(np.asarray(inverse_ntt(lower.data, x.params.ring, x.moduli)), x.moduli)
    assert (np.abs(phase) // base).max() > 1  # a dense secret: there are overflows
    np.testing.assert_array_equal((phase - message) % base, 0)


def test_other_levels_are_refused(insecure_complex):
    x = insecure_complex.encrypt(insecure_complex.numbers())
    with pytest.raises(ValueError, match="raised from level 0"):
        raise_modulus(x, hamming_weight=WEIGHT)


def test_estimates_get_overflows(insecure_complex):
    values = insecure_complex.numbers()
    estimate = ckks.drop_level(ckks.estimate(insecure_complex.params, values), 0)
    raised = raise_modulus(estimate, hamming_weight=WEIGHT)
    again = raise_modulus(estimate, hamming_weight=WEIGHT)
    ratio = float(raised.scale / estimate.scale)
    overflow = raised.values - values / ratio
    np.testing.assert_array_equal(raised.values, again.values)
    # N integers of variance (1 + h) / 12, in slots
    expected = math.sqrt((WEIGHT + 1) / 12 * insecure_complex.params.ring.degree)
    assert abs(np.sqrt(np.mean(np.abs(overflow) ** 2)) / expected - 1) < 0.2
    np.testing.assert_allclose(raised.deviation * ratio, estimate.deviation, rtol=1e-9)


@pytest.mark.parametrize(
    ("weight", "bound", "expected"),
    [
        (32, 16, -138.7),
        (64, 16, -24),
        (64, 20, -49),
        (64, 25, -96),
        (64, 28, -144),
        (128, 32, -62),
        (192, 28, -23),
    ],
)
def test_failure_probabilities_of_the_literature(weight, bound, expected):
    """Lattigo's and OpenFHE's numbers, for 2^15 complex slots."""
    assert abs(log2_failure_probability(weight, bound, 2**16) - expected) < 0.8


def test_tail_against_small_cases():
    assert phase_tail(1, Fraction(1, 2)) == Fraction(1, 4)  # a sum of two: a triangle
    assert phase_tail(2, Fraction(3, 2)) == 0
    assert phase_tail(2, 1) == Fraction(2, 6 * 8)


def test_tail_against_samples():
    samples = sample_overflow(6, 400_000, np.random.default_rng(0))
    found = {i: np.mean(samples == i) for i in range(-3, 4)}
    for integer, probability in overflow_probabilities(6).items():
        assert abs(found.get(integer, 0) - probability) < 0.004
    assert abs(sum(overflow_probabilities(6).values()) - 1) < 1e-12


def test_smallest_bound_is_the_smallest():
    bound = smallest_bound(32, 2**16, 128)
    assert bound == 16
    assert log2_failure_probability(32, bound - 1, 2**16) > -128
