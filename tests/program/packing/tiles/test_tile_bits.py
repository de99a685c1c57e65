"""What sums and copies over slots make of the bits of a slot's number: against rotations of real vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhejax.program.packing.tiles.bits import COPY, Bit, ConflictError, copied, met, runs, summed

COUNT = 6
INDEX = Bit("index", 0)


def held(bits, value_of, generator, junk=True):
    """A vector with `value_of` an index in every slot where it is right, and junk or zero elsewhere."""
    slots = np.arange(1 << len(bits))
    index, right, zero = np.zeros(len(slots), int), np.ones(len(slots), bool), np.zeros(len(slots), bool)
    own = np.zeros(len(slots), int)
    for place, bit in enumerate(bits):
        digit = slots >> (len(bits) - 1 - place) & 1
        if bit.kind == "index" and bit.axis == 0:
            index = 2 * index + digit
        elif bit.kind == "index":
            own = 2 * own + digit
        elif bit != COPY:
            right &= digit == bit.at
            zero |= (digit != bit.at) & (bit.kind == "zero")
    junk_values = generator.normal(size=len(slots)) if junk else np.zeros(len(slots))
    return np.where(right, value_of[own, index], np.where(zero, 0.0, junk_values)), own, right


def rotated(vector, distances):
    for distance in distances:
        vector = vector + np.roll(vector, -distance)
    return vector


@st.composite
def layouts(draw):
    """Bits with the axis 0 side by side, another axis, copies, and bits that are right at one value."""
    first = draw(st.integers(0, COUNT - 1))
    last = draw(st.integers(first + 1, COUNT))
    others = st.sampled_from([Bit("index", 1), COPY, Bit("junk"), Bit("zero"), Bit("zero", at=1)])
    above = [draw(others) for _ in range(first)]
    below = [draw(others) for _ in range(COUNT - last)]
    return tuple(above) + (INDEX,) * (last - first) + tuple(below)


@settings(max_examples=200, deadline=None)
@given(layouts(), st.integers(0, 63), st.booleans())
def test_a_sum_is_right_wherever_its_bits_say(bits, at, chosen):
    generator = np.random.default_rng(0)
    width = sum(bit == INDEX for bit in bits)
    values = generator.normal(size=(64, 1 << width))
    vector, _, _ = held(bits, values, generator)
    (run,) = runs(bits, {0})
    found = summed(bits, run, at % (1 << width) if chosen else None)
    totals = np.repeat(values.sum(1, keepdims=True), 64, 1)
    wanted, _, right = held(found.bits, totals, generator)
    assert right.any()
    np.testing.assert_allclose(rotated(vector, found.distances)[right], wanted[right], atol=1e-12)


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_copy_fills_the_bits_at_which_a_value_is_zero(at):
    bits = (Bit("index", 1), Bit("zero", at=at >> 1), COPY, Bit("zero", at=at & 1), Bit("index", 1))
    generator = np.random.default_rng(1)
    values = generator.normal(size=(4, 1))
    vector, _, _ = held(bits, values, generator)
    found = copied(bits, [1, 3])
    wanted, _, right = held(found.bits, values, generator)
    assert right.all()
    np.testing.assert_allclose(rotated(vector, found.distances), wanted)


def test_a_sum_over_the_top_takes_zeros_just_below_with_it():
    found = summed((INDEX, INDEX, Bit("zero"), COPY), range(2))
    assert found.bits == (COPY, COPY, COPY, COPY)
    assert len(found.distances) == 3


def test_guards_hold_what_is_carried_over():
    """Of several copies above the sum only the first becomes a guard."""
    found = summed((Bit("index", 1), COPY, COPY, INDEX), range(3, 4))
    assert found.bits == (Bit("index", 1), Bit("junk"), COPY, COPY)


def test_values_meet_in_products_and_sums():
    zero, junk, index = Bit("zero"), Bit("junk"), Bit("index", 3)
    assert met((COPY, index, zero, junk), (index, index, junk, COPY), True) == (index, index, zero, junk)
    assert met((zero, zero), (junk, zero), False) == (junk, zero)
    with pytest.raises(ConflictError, match="an index meets"):
        met((index,), (junk,), True)
    with pytest.raises(ConflictError, match="an index meets another"):
        met((index,), (Bit("index", 4),), False)
    with pytest.raises(ConflictError, match="different places"):
        met((zero,), (Bit("zero", at=1),), True)
