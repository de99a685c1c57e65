"""Layouts: what they mean by brute force, one form for equal ones, and sentences for what is none."""

import dataclasses
import json
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from layouts import brute_force_indices, layouts, numbered

from fhejax.program.packing.layout import (
    Digit,
    Layout,
    along,
    copies,
    entries,
    gap,
    indices,
    pack,
    positions,
    unpack,
)

SAMPLE_PER_SLOT = Layout(
    (20, 5, 13, 13),
    (along(0, 16),),
    ciphertexts=(along(0, 2, 16), along(1, 5), along(2, 13), along(3, 13)),
)
GAPPED = Layout((5, 13, 13), (along(0, 2, 4), along(1, 16), along(0, 2, 2), along(2, 16), along(0, 2)))
SHIFTED = Layout((16, 4, 4), (along(0, 2, 4), along(0, 16), along(1, 4), along(2, 4)), wrap=(16, 0, 0))
PLANES = Layout((4, 3, 8, 8), (along(2, 8), along(3, 8), along(0, 4)), ciphertexts=(along(1, 3),))
TILE = Layout((8, 4), (along(1, 4), copies(2), along(0, 8), copies(4)))
DIAGONAL = Layout((16, 4), (Digit(16, ((0, 1), (1, 1))),), ciphertexts=(Digit(4, ((1, -1),)),), wrap=(0, 4))
PAIR = Layout((32, 3), (along(1, 4), along(0, 16)), parts=(along(0, 2, 16),))
ALL = [SAMPLE_PER_SLOT, GAPPED, SHIFTED, PLANES, TILE, DIAGONAL, PAIR]


@given(layouts())
@settings(deadline=None, max_examples=80)
def test_indices_are_the_definition(layout):
    assert (indices(layout) == brute_force_indices(layout)).all()
    array = numbered(layout)
    slots = pack(layout, array)
    assert slots.shape == (layout.ciphertext_count, layout.slot_count)
    assert (unpack(layout, slots) == array).all()
    index = indices(layout)
    parts = np.stack([slots.real, slots.imag][: layout.part_count], 1)
    for place in np.ndindex(parts.shape):
        wanted = 0 if index[place][0] < 0 else array[tuple(index[place])]
        assert parts[place] == wanted


@pytest.mark.parametrize("layout", ALL, ids=range(len(ALL)))
def test_layouts_of_the_four_packings(layout):
    assert (indices(layout) == brute_force_indices(layout)).all()
    array = numbered(layout)
    assert (unpack(layout, pack(layout, array, fill=np.nan)) == array).all()


def test_how_full_they_are():
    assert (entries(GAPPED) >= 0).sum() == 845
    assert (entries(SHIFTED) >= 0).sum() == 2 * 256
    assert (entries(DIAGONAL) >= 0).sum() == 4 * 16
    assert indices(DIAGONAL)[1, 0, 0].tolist() == [0, 3]  # sample 0, input (0 - 1) modulo 4


@given(layouts())
@settings(deadline=None, max_examples=40)
def test_positions_are_where_the_copies_lie(layout):
    found, table = entries(layout).ravel(), positions(layout)
    assert len(table) == math.prod(layout.shape)
    for entry, row in enumerate(table):
        assert sorted(row[row >= 0]) == np.flatnonzero(found == entry).tolist()


@st.composite
def rewritten(draw):
    """A layout, and what else could be written for it."""
    layout = draw(layouts())
    groups = {}
    for name in ("slots", "ciphertexts"):
        digits = []
        for digit in getattr(layout, name):
            size = draw(st.sampled_from([d for d in range(1, digit.size + 1) if digit.size % d == 0]))
            digits += [*digit.split(size), Digit(1, ((0, 5),))]
        groups[name] = tuple(
            Digit(
                d.size,
                tuple(reversed([(a, s + draw(st.integers(-1, 1)) * layout.wrap[a]) for a, s in d.steps])),
                d.only,
            )
            for d in digits
        )
    offset = tuple(o + draw(st.integers(-1, 1)) * w for o, w in zip(layout.offset, layout.wrap, strict=True))
    return layout, Layout(layout.shape, **groups, parts=layout.parts, offset=offset, wrap=layout.wrap)


@given(rewritten())
@settings(deadline=None, max_examples=80)
def test_equal_layouts_are_equal(pair):
    layout, other = pair
    assert layout == other
    assert hash(layout) == hash(other)
    again = Layout.from_json(json.loads(json.dumps(layout.as_json())))
    assert again == layout
    assert hash(again) == hash(layout)


def test_digits_that_say_the_same():
    assert Layout((13,), (along(0, 32),)) == Layout((13,), (gap(2), along(0, 16)))
    assert Layout((1, 4), (along(0, 2), along(1, 4))) == Layout((1, 4), (gap(2), along(1, 4)))
    assert Layout((4,), (gap(2), gap(4, 3), along(0, 4))) == Layout((4,), (gap(8, 3), along(0, 4)))
    assert Layout((4,), (along(0, 8),), offset=(-4,)) == Layout((4,), (gap(2, 1), along(0, 4)))
    assert Layout((8,), (along(0, 8),), wrap=(8,)) == Layout((8,), (along(0, 8),))
    assert Layout((8,), (along(0, 8, 7),), wrap=(8,), offset=(7,)) == Layout(
        (8,), (along(0, 8, -1),), offset=(7,)
    )
    assert Layout((np.int64(4),), (along(0, np.int32(4)),)) == Layout((4,), (along(0, 4),))
    assert Layout((4,), (along(0, 4), copies(2))) != Layout((4,), (copies(2), along(0, 4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        TILE.shape = (4, 8)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: Digit(0), ValueError, "is at least 1"),
        (lambda: Digit(2.0), TypeError, "is an integer"),
        (lambda: Digit(True), TypeError, "is an integer"),
        (lambda: Digit(2, ((0, 1), (0, 2))), ValueError, "two on one axis"),
        (lambda: Digit(2, (0, 1)), TypeError, "pairs"),
        (lambda: Digit(2, (), 2), ValueError, "its values are 0 to 1"),
        (lambda: Digit(6).split(4), ValueError, "does not divide"),
        (lambda: Layout((4,), (along(0, 2),)), ValueError, "2 indices of axes .0,. lie nowhere"),
        (lambda: Layout((4,), (along(0, 4),), offset=(1,)), ValueError, "1 indices .* lie nowhere"),
        (lambda: Layout((4,), (along(1, 4),)), ValueError, "moves another"),
        (lambda: Layout((3,), (along(0, 3),)), ValueError, "power of two"),
        (lambda: Layout((4,), (along(0, 4),), parts=(copies(4),)), ValueError, "a slot has two"),
        (lambda: Layout((4,), (along(0, 4),), offset=(0, 0)), ValueError, "one for each axis"),
        (lambda: Layout((4,), (along(0, 4),), wrap=(-1,)), ValueError, "at least 0"),
        (lambda: Layout((0,), (along(0, 4),)), ValueError, "length of an axis"),
        (lambda: Layout((4,), (4,)), TypeError, "they are digits"),
        (lambda: Layout(4, (along(0, 4),)), TypeError, "is a tuple"),
        (lambda: Layout.from_json({"shape": [4]}), ValueError, "dictionary"),
        (lambda: Layout.from_json(TILE.as_json() | {"slots": [[4]]}), ValueError, "a digit was to be read"),
        (lambda: pack(TILE, np.ones((4, 8))), ValueError, "the layout's shape"),
        (lambda: pack(TILE, 1j * np.ones((8, 4))), ValueError, "real numbers"),
        (lambda: unpack(TILE, np.ones((2, 256))), ValueError, "1 ciphertexts of 256 slots"),
    ],
)
def test_what_is_no_layout_is_said(make, error, said):
    with pytest.raises(error, match=said):
        make()


def test_entries_that_count_together_may_lie_nowhere():
    """Each axis alone is complete; together they are not."""
    with pytest.raises(ValueError, match=r"12 indices of axes \(0, 1\) lie nowhere"):
        Layout((4, 4), (Digit(4, ((0, 1), (1, 1))),))
