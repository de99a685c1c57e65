"""Sums over an axis: where they claim to be right they are, whatever lies elsewhere."""

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from layouts import layouts, numbered, taken

from fhejax.program.packing.layout import (
    Digit,
    Layout,
    NotAlignedError,
    along,
    as_shares,
    copied,
    copies,
    entries,
    gap,
    mask,
    pack,
    spread,
    sum_over,
    unpack,
)

FAST = settings(deadline=None, max_examples=80)


def summed(found, slots):
    """As ciphertexts are summed: [ciphertext, slot]."""
    total = np.stack([sum(slots[number] for number in group) for group in found.groups])
    for rotation in found.rotations:
        total = total + np.roll(total, -rotation, -1)
    return total


def assert_right(layout: Layout, slots: np.ndarray, wanted: np.ndarray):
    """Wherever the layout says that an entry lies."""
    parts = np.stack([slots.real, slots.imag][: layout.part_count], 1)
    held = taken(layout, wanted, np.nan)
    assert np.allclose(parts[~np.isnan(held)], held[~np.isnan(held)], rtol=1e-12)


@given(layouts(sums=True), st.data())
@FAST
def test_sums(layout, data):
    axis = data.draw(st.integers(0, len(layout.shape) - 1))
    array = numbered(layout)
    try:
        found = sum_over(layout, axis, over_gaps=data.draw(st.booleans()))
    except NotAlignedError as error:
        assert "twice" in str(error) or "parts" in str(error)
        return
    slots = summed(found, pack(layout, array))
    assert found.layout.shape == tuple(np.delete(layout.shape, axis))
    assert_right(found.layout, slots, array.sum(axis))
    assert (unpack(found.layout, slots) == array.sum(axis)).all()
    assert abs(slots).max() <= abs(pack(layout, array)).max() * found.terms
    if found.is_clean and layout.part_count == 1:
        held = entries(found.layout)[:, 0] >= 0
        assert (slots[~held] == 0).all()


@given(st.integers(0, 7))
def test_a_sum_is_right_at_the_value_that_is_chosen(at):
    """Junk lies everywhere else along the other axes: that of other digits does not come in."""
    layout = Layout((4, 8), (along(0, 4), gap(2, 1), along(1, 8)))
    found = sum_over(layout, 1, at=at)
    assert found.layout == Layout((4,), (along(0, 4), gap(2, 1), gap(8, at)))
    assert not found.is_clean
    junk = np.random.default_rng(at).normal(size=64)
    slots = np.where(entries(layout)[0, 0] < 0, junk, pack(layout, numbered(layout))[0])[None]
    assert_right(found.layout, summed(found, slots), numbered(layout).sum(1))


ROWS = {
    "top": ((along(1, 8), along(0, 4)), (copies(8), along(0, 4)), True),
    "under copies": ((copies(4), along(1, 8), along(0, 4)), (copies(32), along(0, 4)), True),
    "guarded": ((along(0, 4), copies(2), along(1, 8)), (along(0, 4), gap(2), copies(8)), False),
    "guard of two bits": (
        (along(0, 4), copies(4), along(1, 8), copies(2)),
        (along(0, 4), copies(2), gap(2), copies(16)),
        False,
    ),
    "neither": ((along(0, 4), along(1, 8)), (along(0, 4), gap(8)), False),
    "in two": (
        (along(1, 2, 4), along(0, 4), along(1, 4)),
        (copies(2), along(0, 4), gap(4)),
        False,
    ),
    "6 in 8": (
        (along(0, 4), copies(2), along(1, 4), along(1, 2, 4)),
        (along(0, 4), gap(2), copies(8)),
        False,
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_where_sums_are_right(name):
    before, after, is_clean = ROWS[name]
    layout = Layout((4, 6 if name == "6 in 8" else 8), before)
    found = sum_over(layout, 1)
    assert found.layout == Layout((4,), after)
    assert found.is_clean is is_clean
    assert len(found.rotations) == 3
    assert_right(found.layout, summed(found, pack(layout, numbered(layout))), numbered(layout).sum(1))


def test_a_gap_is_summed_with_the_axis_above_it():
    """As of weights masked to guard 0: copies everywhere, with nothing masked after."""
    layout = Layout((4, 8), (along(0, 4), gap(2), along(1, 8)))
    found = sum_over(layout, 0, over_gaps=True)
    assert found.layout == Layout((8,), (copies(8), along(0, 8)))
    assert found.is_clean
    assert_right(found.layout, summed(found, pack(layout, numbered(layout))), numbered(layout).sum(0))
    kept = sum_over(layout, 0)
    assert kept.layout == Layout((8,), (copies(4), gap(2), along(0, 8)))


def test_ciphertexts_are_added_before_they_are_rotated():
    layout = Layout((16, 6), (along(0, 4), along(1, 2)), ciphertexts=(along(0, 4, 4), along(1, 3, 2)))
    found = sum_over(layout, 0)
    assert found.groups == ((0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11))
    assert found.rotations == (2, 4)
    assert found.terms == 16
    assert_right(found.layout, summed(found, pack(layout, numbered(layout))), numbered(layout).sum(0))


@given(layouts(parts=False))
@FAST
def test_copies_of_what_lies_at_one_value(layout):
    new, rotations = copied(layout)
    slots = pack(layout, numbered(layout))
    for rotation in rotations:
        slots = slots + np.roll(slots, -rotation, -1)
    assert_right(new, slots, numbered(layout))
    assert not any(digit.only is not None for digit in new.slots)
    assert len(rotations) == sum(math.log2(d.size) for d in layout.slots if d.only is not None)


@given(layouts(parts=False, wraps=False))
@FAST
def test_shares_in_the_copies_add_up(layout):
    shares = as_shares(layout)
    count = shares.shape[-1]
    assert count == math.prod(digit.size for digit in layout.slots if digit.is_copy)
    array = np.random.default_rng(0).normal(size=shares.shape)
    found = sum_over(shares, -1)
    assert_right(found.layout, summed(found, pack(shares, array)), array.sum(-1))
    tops = list(itertools.takewhile(lambda digit: digit.is_copy, layout.slots))
    if math.prod(digit.size for digit in tops) == count:
        assert found.layout == layout


def test_sums_that_no_rotation_makes_are_said():
    pair = Layout((8, 2), (along(0, 8),), parts=(along(1, 2),))
    with pytest.raises(NotAlignedError, match="real and imaginary parts"):
        sum_over(pair, 1)
    shifted = Layout((8,), (along(0, 2, 4), along(0, 8)), wrap=(8,))
    with pytest.raises(NotAlignedError, match="summed twice"):
        sum_over(shifted, 0)
    diagonal = Layout((8, 4), (Digit(8, ((0, 1), (1, 1))),), ciphertexts=(along(1, 4),), wrap=(0, 4))
    with pytest.raises(NotAlignedError, match="counts together"):
        sum_over(diagonal, 0)
    with pytest.raises(ValueError, match="right at value 8"):
        sum_over(Layout((4, 8), (along(0, 4), along(1, 8))), 1, at=8)
    with pytest.raises(ValueError, match="axis 2"):
        sum_over(pair, 2)


@given(layouts(parts=False), st.data())
@FAST
def test_plain_arrays_beside_encrypted_ones(layout, data):
    shape = tuple(data.draw(st.sampled_from([1, n])) for n in layout.shape)
    array = np.random.default_rng(1).normal(size=shape)
    found = spread(layout, array[0] if shape[0] == 1 else array, fill=0.5)
    assert (found.vectors() == pack(layout, np.broadcast_to(array, layout.shape), fill=0.5)).all()
    assert len(found.values) == 1 + math.prod(shape)
    repeated = found.vectors().reshape(layout.ciphertext_count, -1, found.period)
    assert (repeated == repeated[:, :1]).all()
    assert (mask(layout).vectors() == (entries(layout)[:, 0] >= 0)).all()


def test_distinct_values_of_channels():
    """Five biases over 13 x 13 pixels in gaps: six numbers, and the rest follows from the layout."""
    layout = Layout((5, 13, 13), (along(0, 8), along(1, 16), copies(2), along(2, 16)))
    found = spread(layout, np.arange(5.0)[:, None, None])
    assert found.values.tolist() == [0, 0, 1, 2, 3, 4]
    assert found.period == 4096
    rows = Layout((8, 13), (along(0, 8), copies(2), along(1, 16)))
    assert spread(rows, np.ones(13)).period == 16
    assert spread(rows, np.ones((1, 1))).values.tolist() == [0, 1]
    with pytest.raises(ValueError, match="must broadcast"):
        spread(layout, np.ones(5))
    with pytest.raises(ValueError, match="each part"):
        spread(Layout((8, 2), (along(0, 8),), parts=(along(1, 2),)), np.ones(2))
