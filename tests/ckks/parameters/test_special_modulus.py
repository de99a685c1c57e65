"""P is never below a digit: closed formulas and estimates, for every preset and for random requests.

What P is for is checked, not how it is chosen: that a rotation and a product keep the precision which the
promised ratio of digits to P leaves them.
"""

import dataclasses
import functools
import math

import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import Parameters
from fhejax.ckks.parameters import PRESETS, deviations
from fhejax.ckks.parameters.level_table import (
    LevelTable,
    chain,
    largest_prime,
    primes_of_product,
    rational_chain,
)
from fhejax.ckks.parameters.special_modulus import special_primes
from fhejax.ring import Ring, modulus_bits, ntt_primes

MARGIN_BITS = 4.75  # of P over digits of several primes: five, and a quarter for what primes there are
LOST_BITS = 0.5


def digits(params: Parameters, level: int) -> list[int]:
    return [math.prod(params.moduli[start:stop]) for start, stop in params.digit_ranges(level)]


def check_digits(params: Parameters) -> None:
    """At every level at most P, and by the margin below it where several primes make a digit."""
    special = math.prod(params.special)
    whole = [
        math.prod(params.moduli[i : i + params.digit_size])
        for i in range(0, len(params.moduli), params.digit_size)
    ]
    margin = MARGIN_BITS if min(params.digit_size, len(params.moduli)) > 1 else 0
    assert math.log2(special) >= math.log2(max(whole)) + margin
    assert max(max(digits(params, level)) for level in range(params.depth + 1)) <= special


def promised_switch(params: Parameters) -> float:
    """The standard deviation that a key switch may add, times the scale."""
    ratio = 2**-MARGIN_BITS if params.digit_size > 1 else 1.0
    return deviations.key_switch_deviation(params.ring, ratio, len(digits(params, params.depth)))


def check_precision(params: Parameters) -> None:
    """Of a rotation, and of a product, by estimates: what it was before, and the noise that is promised."""
    values = np.linspace(-1, 1, params.slots)
    x = ckks.estimate(params, values)
    before, scale = 2**-x.precision_bits, float(x.scale)
    rotated = math.hypot(before, promised_switch(params) / scale)
    assert ckks.rotate(None, x, 1).precision_bits >= -math.log2(rotated) - LOST_BITS
    if params.depth == 0:
        return
    below = float(params.scales[params.depth - 1])
    spread = 2 * math.sqrt(np.mean(values**2)) * before
    product = math.hypot(
        spread, promised_switch(params) / scale**2, deviations.rescale_deviation(params.ring) / below
    )
    assert ckks.multiply(None, x, x).precision_bits >= -math.log2(product) - LOST_BITS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_keeps_its_precision(name):
    params = ckks.preset(name)
    check_digits(params)
    check_precision(params)


@functools.cache
def random_requests(count: int = 200) -> list[Parameters]:
    """The first of them that can be had, the larger rings among them as often as the smaller ones."""
    generator, found = np.random.default_rng(17), []
    while len(found) < count:
        depth = int(np.exp(generator.uniform(0, math.log(80)))) - 1
        options = {
            "precision_bits": float(generator.uniform(2, 36)),
            "slots": 2 ** int(generator.integers(17)),
            "real": bool(generator.integers(2)),
            "security": int(generator.choice([128, 128, 192, 256])),
        }
        try:
            params = Parameters.for_depth(depth, **options)
        except ValueError:  # no ring holds it
            continue
        assert params.security >= options["security"]
        assert params.depth == depth
        found.append(params)
    return found


def test_random_requests_keep_their_precision():
    for params in random_requests():
        check_digits(params)
        check_precision(params)


def test_random_requests_are_of_every_ring():
    degrees = {params.ring.degree for params in random_requests()}
    assert degrees == {2**log for log in range(12, 18)}


@pytest.mark.parametrize(
    ("depth", "bits"), [(40, 24), (50, 12), (50, 20), (55, 20), (60, 20), (70, 16), (75, 12)]
)
def test_what_was_found_to_lose_its_precision(depth, bits):
    """At N = 2^17, where primes are so few that P was up to 15 bits below a digit, and 7 bits left of 20."""
    params = Parameters.for_depth(depth, precision_bits=bits)
    assert params.ring.degree == 2**17
    check_digits(params)
    check_precision(params)
    assert (
        ckks.rotate(None, ckks.estimate(params, np.linspace(-1, 1, params.slots)), 1).precision_bits
        > bits + 3
    )


class TestNeverMade:
    """By no way are there parameters with a digit above P."""

    def test_by_hand(self):
        params = ckks.preset("real-n14-128bit-depth6-scale35")
        for changes in (
            {"special": params.special[:-1]},
            {"digit_size": params.digit_size + 2},
            {"digit_size": 512},
            {"special": ntt_primes(20, params.ring.root_order, 4)},
        ):
            with pytest.raises(ValueError, match=r"special modulus P of .* every digit is at most P"):
                dataclasses.replace(params, **changes)

    def test_a_single_prime_that_is_larger_than_p(self):
        params = ckks.insecure_parameters(64, 3, 26, digit_size=1)
        assert params.special == (largest_prime(params.ring),)
        with pytest.raises(ValueError, match="every digit is at most P"):
            dataclasses.replace(params, special=ntt_primes(26, params.ring.root_order, 1, params.moduli))

    def test_a_digit_of_a_lower_level(self):
        """Rational levels bring primes back: each level counts, and not the highest alone."""
        params = ckks.insecure_parameters(64, 6, 35, rational=True)
        assert params.levels[0][0] > 0 or params.levels[1][0] > 0
        for level in range(params.depth + 1):
            assert max(digits(params, level)) <= math.prod(params.special)

    def test_without_keys_there_is_no_p(self):
        params = ckks.insecure_parameters(64, 3, key_switching=False)
        assert params.special == ()

    def test_q_leaves_the_largest_prime(self):
        for real in (True, False):
            for options in ({}, {"scale_bits": 55}, {"scale_bits": 40, "rational": True}):
                params = ckks.insecure_parameters(64, 3, real=real, **options)
                assert largest_prime(params.ring) not in params.moduli

    @pytest.mark.parametrize("real", [True, False])
    def test_more_and_smaller_primes_where_large_ones_are_gone(self, real):
        ring = Ring(2**17, real)
        table = rational_chain(ring, 61, 45)
        special = special_primes(ring, table.moduli, 24)
        whole = max(modulus_bits(table.moduli[i : i + 24]) for i in range(0, len(table.moduli), 24))
        assert modulus_bits(special) >= whole + MARGIN_BITS
        assert not set(special) & set(table.moduli)
        assert len(special) == (25 if real else 24)

    def test_no_primes_left(self):
        ring = Ring(2**17, True)
        everything = tuple(q for q in ntt_primes(29.5, ring.root_order, 200))
        with pytest.raises(ValueError, match=r"digits of 50 primes .* smaller digit_size"):
            special_primes(ring, everything, 50)


class TestProducts:
    """A product of primes is what was asked for, or there is none."""

    def test_within_two_bits(self):
        ring = Ring(2**17, True)
        for bits, count in ((25, 1), (29, 1), (57, 2), (116, 4), (700, 24)):
            assert abs(modulus_bits(primes_of_product(ring, bits, count, ())) - bits) < 0.5

    @pytest.mark.parametrize(
        ("bits", "count"), [(36, 2), (20, 1), (33, 1), (63, 2), (6000, 200), (4700, 200)]
    )
    def test_far_ones_are_refused(self, bits, count):
        with pytest.raises(ValueError, match=r"were asked for at degree 131072|were asked for, and"):
            primes_of_product(Ring(2**17, True), bits, count, ())

    def test_those_in_use_are_missing(self):
        ring = Ring(2**17, True)
        large = ntt_primes(30, ring.root_order, 150)
        with pytest.raises(
            ValueError, match=r"24 primes with a product of 2\*\*700.0 .* the nearest that are left"
        ):
            primes_of_product(ring, 700, 24, large)

    def test_chains_keep_their_scale_or_are_refused(self):
        made = 0
        for bits in (20, 25, 28, 30, 40, 50, 57, 60):
            for depth in (1, 10, 40, 80, 120):
                for ring in (Ring(2**17, True), Ring(2**17), Ring(2**15), Ring(2**13, True)):
                    try:
                        table = chain(ring, [bits] * depth, bits, bits + 4)
                    except ValueError:
                        continue
                    made += 1
                    check_table(table, bits)
        assert made > 60

    def test_rational_chains_keep_their_scale_or_are_refused(self):
        made = 0
        for bits in (35, 40, 45):
            for depth in (1, 10, 60, 78, 100, 150):
                for ring in (Ring(2**17, True), Ring(2**17), Ring(2**12, True)):
                    try:
                        table = rational_chain(ring, depth, bits)
                    except ValueError:
                        continue
                    made += 1
                    check_table(table, 0.99 * bits)
        assert 36 < made < 54


def check_table(table: LevelTable, bits: float) -> None:
    base = modulus_bits(tuple(table.moduli[i] for i in table.levels[0]))
    assert base > bits + 2
    assert all(abs(scale.bits - bits) <= 2 for scale in table.scales)
