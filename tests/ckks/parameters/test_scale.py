"""Scales: exact, short, and equal only if the number is."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhejax.ckks.parameters import Scale

POSITIVE = st.fractions(min_value=Fraction(1, 2**200), max_value=2**200)


@settings(max_examples=200, deadline=None)
@given(POSITIVE, POSITIVE)
def test_products_and_quotients_are_within_128_bits(a, b):
    first, second = Scale.of(a), Scale.of(b)
    assert abs(first.fraction() / a - 1) <= Fraction(1, 2**127)
    for found, exact in (
        (first * second, first.fraction() * second.fraction()),
        (first / second, first.fraction() / second.fraction()),
    ):
        assert abs(found.fraction() / exact - 1) <= Fraction(1, 2**127)
        assert found.mantissa % 2 == 1
        assert found.mantissa.bit_length() <= 129


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**127))
def test_short_numbers_are_exact(number):
    assert Scale.of(number).fraction() == number
    assert Scale.of(Fraction(number, 2**300)).fraction() == Fraction(number, 2**300)
    assert Scale.of(number) == Scale.of(2 * number) / 2
    assert hash(Scale.of(number)) == hash(Scale.of(4 * number) / 4)


def test_a_long_chain_stays_short():
    scale = Scale.of(2.0**26)
    for _ in range(500):
        scale = scale * scale / (2**26 + 3)
        scale = scale / scale * 2.0**26
    assert scale == Scale.of(2.0**26)
    drifting = Scale.of(2**26)
    for _ in range(12):
        drifting = drifting * drifting / (2**26 - 5)
        assert drifting.mantissa.bit_length() <= 129


def test_numbers_beyond_floats():
    assert Scale.of(2**2000).bits == 2000
    assert Scale.of(Fraction(1, 3**2000)).bits == pytest.approx(-2000 * math.log2(3))
    assert (Scale.of(2**1500) / 2**1480).bits == 20


def test_float_bits_and_repr():
    assert float(Scale.of(0.75)) == 0.75
    assert Scale.of(1.5 * 2**40).bits == pytest.approx(40 + math.log2(1.5))
    assert repr(Scale.of(2**26)) == "2**26.000"
    assert Scale.of(Scale.of(7)) == Scale.of(7)


@pytest.mark.parametrize("value", [0, -1, -0.5, math.inf, math.nan, Fraction(-1, 3)])
def test_what_is_no_scale_is_refused(value):
    with pytest.raises(ValueError, match="positive and finite"):
        Scale.of(value)
