"""Rearrangements: what lies at each position afterwards is what NumPy makes of it, or a sentence why not."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from layouts import layouts, numbered, taken

from fhejax.program.packing.layout import (
    Digit,
    Layout,
    NotAlignedError,
    along,
    broadcast,
    copies,
    gap,
    pad,
    reshape,
    reverse,
    roll,
    strided_slice,
    transpose,
)

FAST = settings(deadline=None, max_examples=80)


def assert_relabelled(layout: Layout, new: Layout, change, empty: float = 0.0):
    """The positions hold, unmoved, what the changed array has there."""
    array = numbered(layout)
    result = change(array)
    assert result.shape == new.shape
    held, wanted = taken(layout, array, empty), taken(new, result, np.nan)
    assert (held == wanted)[~np.isnan(wanted)].all()


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except NotAlignedError as error:
        assert str(error).endswith(".")
        return None


@given(layouts(), st.data())
@FAST
def test_transpose_and_reverse_are_always_free(layout, data):
    axes = data.draw(st.permutations(range(len(layout.shape))))
    assert_relabelled(layout, transpose(layout, axes), lambda x: x.transpose(axes))
    axis = data.draw(st.integers(-len(layout.shape), len(layout.shape) - 1))
    assert_relabelled(layout, reverse(layout, axis), lambda x: np.flip(x, axis))
    assert reverse(reverse(layout, axis), axis) == layout


@given(layouts(), st.data())
@FAST
def test_roll(layout, data):
    axis, shift = data.draw(st.integers(0, len(layout.shape) - 1)), data.draw(st.integers(-9, 9))
    new = attempt(roll, layout, shift, axis)
    if new is None:
        assert (
            shift % layout.shape[axis] or layout.shape[axis] & (layout.shape[axis] - 1) or layout.wrap[axis]
        )
        return
    assert_relabelled(layout, new, lambda x: np.roll(x, shift, axis))


@given(layouts(), st.data())
@FAST
def test_slices(layout, data):
    starts = [data.draw(st.integers(0, n - 1)) for n in layout.shape]
    limits = [data.draw(st.integers(s + 1, n)) for s, n in zip(starts, layout.shape, strict=True)]
    strides = [data.draw(st.integers(1, 3)) for _ in layout.shape]
    new = attempt(strided_slice, layout, starts, limits, strides)
    chosen = tuple(map(slice, starts, limits, strides))
    if new is None:
        assert any(stride > 1 for stride in strides)
    else:
        assert_relabelled(layout, new, lambda x: x[chosen])


@given(layouts(), st.data())
@FAST
def test_padding_takes_empty_positions(layout, data):
    axis = data.draw(st.integers(0, len(layout.shape) - 1))
    before, after = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    new = attempt(pad, layout, axis, before, after)
    if new is not None:
        widths = [(before, after) if a == axis else (0, 0) for a in range(len(layout.shape))]
        assert_relabelled(layout, new, lambda x: np.pad(x, widths))


@st.composite
def reshaped(draw):
    layout = draw(layouts())
    rest, shape = int(np.prod(layout.shape)), []
    while rest > 1:
        factor = draw(st.sampled_from([d for d in range(2, rest + 1) if rest % d == 0]))
        shape += [factor] + [1] * draw(st.integers(0, 1))
        rest //= factor
    return layout, draw(st.sampled_from([tuple(shape), (1, *layout.shape), layout.shape]))


@given(reshaped())
@FAST
def test_reshape(pair):
    layout, shape = pair
    new = attempt(reshape, layout, shape)
    if new is not None:
        assert_relabelled(layout, new, lambda x: x.reshape(shape))
    elif shape == layout.shape:
        assert 1 in shape


@given(st.permutations([along(0, 4, 2), along(0, 2), along(1, 8), along(2, 4), copies(2), gap(2, 1)]))
@FAST
def test_reshapes_of_full_axes_never_fail(digits):
    layout = Layout((8, 8, 4), tuple(digits))
    for shape in [(64, 4), (8, 32), (256,), (2, 4, 8, 4), (2, 1, 32, 2, 2), (16, 16)]:
        new = reshape(layout, shape)
        assert_relabelled(layout, new, lambda x, shape=shape: x.reshape(shape))
        assert reshape(new, (8, 8, 4)) == layout


@given(layouts(parts=False), st.data())
@FAST
def test_broadcasts(layout, data):
    """Of a layout to another of which one axis is dropped: exactly where all its digits are copies."""
    axis = data.draw(st.integers(0, len(layout.shape) - 1))
    assume(len(layout.shape) > 1)
    kept = [a for a in range(len(layout.shape)) if a != axis]

    def without(digit: Digit) -> Digit:
        steps = tuple((a - (a > axis), s) for a, s in digit.steps if a != axis)
        return Digit(digit.size, steps, digit.only)

    def kept_of(values):
        return tuple(values[a] for a in kept)

    small = Layout(
        kept_of(layout.shape),
        tuple(map(without, layout.slots)),
        ciphertexts=tuple(map(without, layout.ciphertexts)),
        offset=kept_of(layout.offset),
        wrap=kept_of(layout.wrap),
    )
    assert broadcast(small, layout, kept) == layout
    array = numbered(small)
    wide = np.broadcast_to(np.expand_dims(array, axis), layout.shape)
    wanted = taken(layout, wide, np.nan)
    assert (taken(small, array) == wanted)[~np.isnan(wanted)].all()


@given(layouts(), st.data())
@FAST
def test_a_broadcast_that_is_accepted_is_right(layout, data):
    """Between two layouts that differ in one digit, or in where an axis starts."""
    place = data.draw(st.integers(0, len(layout.slots)))
    if place < len(layout.slots):
        digit = layout.slots[place]
        changed = [
            Digit(digit.size),
            Digit(digit.size, digit.steps, 0),
            Digit(digit.size, (), 1 % digit.size),
        ]
        changed += [Digit(digit.size, tuple((a, s + 1) for a, s in digit.steps), digit.only)]
        slots = (*layout.slots[:place], data.draw(st.sampled_from(changed)), *layout.slots[place + 1 :])
        changes = {"slots": slots}
    else:
        changes = {"offset": tuple(o + 1 for o in layout.offset)}
    try:
        other = layout.replace(**changes)
    except ValueError:
        assume(False)
    for have, want in [(layout, other), (other, layout)]:
        if attempt(broadcast, have, want, range(len(layout.shape))) is not None:
            wanted = taken(want, numbered(want), np.nan)
            assert (taken(have, numbered(have)) == wanted)[~np.isnan(wanted)].all()


def test_broadcasts_of_tiles():
    """The factors of a product with weights, and results that are read as less than they hold."""
    box = Layout((4, 8, 4), (along(1, 8), along(0, 4), along(2, 4)))
    values = Layout((4, 8), (along(1, 8), along(0, 4), copies(4)))
    weights = Layout((8, 4), (along(0, 8), copies(4), along(1, 4)))
    assert broadcast(values, box, (0, 1)) == broadcast(weights, box, (1, 2)) == box
    assert broadcast(
        copied_row := Layout((1, 4), (copies(32), along(1, 4))), Layout((8, 4), weights.slots), (0, 1)
    )
    assert copied_row.shape == (1, 4)
    less = Layout((8, 4), (along(0, 8), gap(4), along(1, 4)))
    assert broadcast(weights, less, (0, 1)) == less
    shifted = Layout((8, 4), (along(0, 8), gap(4, 1), along(1, 4)))
    for have, want in [(less, weights), (less, shifted), (values, weights)]:
        with pytest.raises((NotAlignedError, ValueError), match=r"only|to be read|broadcast"):
            broadcast(have, want, (0, 1))
    full = Layout((8,), (along(0, 8), copies(2)))
    upper = Layout((8,), (along(0, 8), gap(2, 1)))
    assert broadcast(full, upper, (0,)) == upper
    with pytest.raises(NotAlignedError, match="starts at another index"):
        broadcast(
            Layout((8,), (along(0, 2, 8), along(0, 8)), wrap=(8,), offset=(1,)),
            Layout((8,), (copies(2), along(0, 8))),
            (0,),
        )


def test_flattening_images_with_gaps_is_said():
    image = Layout((5, 13, 13), (along(0, 8), along(1, 16), along(2, 16)))
    with pytest.raises(NotAlignedError, match=r"next row\. Contract over both axes"):
        reshape(image, (845,))
    with pytest.raises(NotAlignedError, match="rows of 5"):
        reshape(Layout((10,), (along(0, 16),)), (2, 5))


def test_strided_slices_leave_gaps():
    image = Layout((8,), (along(0, 8),))
    assert strided_slice(image, (1,), (8,), (2,)) == Layout((4,), (along(0, 4), gap(2, 1)))
    assert strided_slice(image, (0,), (8,), (2,)) == Layout((4,), (along(0, 4), gap(2)))
    assert strided_slice(image, (5,), (6,)) == Layout((1,), (gap(8, 5),))
    odd = Layout((13,), (copies(2),), ciphertexts=(along(0, 13),))
    with pytest.raises(NotAlignedError, match="with a digit of size 2"):
        strided_slice(odd, (0,), (13,), (2,))


def test_padding_comes_from_the_empty_end():
    """28 in 32: two before and two after are there."""
    image = Layout((28,), (along(0, 32),))
    assert pad(image, 0, 2, 2) == Layout((32,), (along(0, 32),), offset=(2,), wrap=(32,))
    with pytest.raises(NotAlignedError, match="not enough that are empty"):
        pad(image, 0, 3, 2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda x: transpose(x, (0, 0)), "no permutation"),
        (lambda x: reverse(x, 2), "axis 2 of an array"),
        (lambda x: roll(x, 1, -3), "axis -3"),
        (lambda x: pad(x, 0, -1, 0), "take a slice"),
        (lambda x: reshape(x, (5,)), "16 entries"),
        (lambda x: strided_slice(x, (0,), (4,)), "of 1 axes"),
        (lambda x: strided_slice(x, (2, 0), (2, 4)), "some of them must be there"),
        (lambda x: strided_slice(x, (0, 0), (4, 4), (0, 1)), "step be 1 or more"),
        (lambda x: broadcast(x, x, (1, 0)), "broadcast to"),
        (
            lambda x: broadcast(x, Layout((4, 4), (along(0, 4), along(1, 4), copies(2))), (0, 1)),
            "ciphertexts",
        ),
    ],
)
def test_requests_that_make_no_sense_are_said(make, said):
    with pytest.raises(ValueError, match=said):
        make(Layout((4, 4), (along(0, 4), along(1, 4))))
