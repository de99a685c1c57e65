"""Diagonals of plain linear maps between layouts: against the maps, and their number against counts."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings
from layouts import layouts, numbered

from fhejax.program.packing.layout import (
    Layout,
    NotAlignedError,
    Relation,
    along,
    as_shares,
    convolution,
    copies,
    dense,
    diagonals,
    gap,
    identity,
    pack,
    sum_over,
    unpack,
)

SEED = np.random.default_rng(0)


def random_relation(target_shape, source_shape, seed):
    generator = np.random.default_rng(seed)
    count = 40
    targets = generator.integers(0, np.prod(target_shape), count)
    sources = generator.integers(0, np.prod(source_shape), count)
    return Relation(target_shape, source_shape, targets, sources, generator.normal(size=count))


@st.composite
def pairs_of_layouts(draw):
    """A source and a target of the same slots."""
    source, target = draw(layouts(parts=False, max_axes=2)), draw(layouts(parts=False, max_axes=2))
    slots = max(source.slot_count, target.slot_count)
    return tuple(x.replace(slots=(copies(slots // x.slot_count), *x.slots)) for x in (source, target))


@given(pairs_of_layouts(), st.integers(0, 99), st.sampled_from([1, 4, 16]))
@settings(deadline=None, max_examples=50)
def test_any_map_between_any_layouts(pair, seed, block):
    source, target = pair
    relation = random_relation(target.shape, source.shape, seed)
    x = numbered(source)
    found = diagonals(source, target, relation, block=block)
    wanted = pack(target, relation(x))
    np.testing.assert_allclose(found.apply(pack(source, x)), wanted, atol=1e-9)
    for key, vectors in found.vectors.items():
        steps = found.split(key)
        assert all(steps[d % target.slot_count] for d in vectors)
        assert all((sum(step) - d) % target.slot_count == 0 for d, step in steps.items())


@given(pairs_of_layouts(), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_shares_of_any_map_add_up(pair, seed):
    source, target = pair
    shares = sum_over(as_shares(target), -1)
    assume(shares.layout == target)  # copies on top
    relation = random_relation(target.shape, source.shape, seed)
    x = numbered(source)
    try:
        slots = diagonals(source, target, relation, shares=True).apply(pack(source, x))
    except NotAlignedError as error:
        assert "no digit of their own" in str(error)
        return
    for rotation in shares.rotations:
        slots = slots + np.roll(slots, -rotation, -1)
    np.testing.assert_allclose(slots, pack(target, relation(x)), atol=1e-9)


@pytest.mark.parametrize(
    ("stride", "padding", "window"), [(1, 1, 3), (2, 1, 3), (2, 0, 2), (1, 0, 1), (3, 2, 5)]
)
def test_convolutions_are_those_of_jax(stride, padding, window):
    import jax

    x, w = SEED.normal(size=(3, 8, 7)), SEED.normal(size=(4, 3, window, window))
    relation = convolution(x.shape, w, stride, padding)
    wanted = jax.lax.conv_general_dilated(
        x[None].astype(np.float32), w.astype(np.float32), (stride, stride), [(padding, padding)] * 2
    )
    np.testing.assert_allclose(relation(x), wanted[0], atol=1e-4)


def test_dense_layers_need_no_flattening():
    x, w = SEED.normal(size=(3, 5, 5)), SEED.normal(size=(75, 4))
    source = Layout((3, 5, 5), (copies(4), along(0, 4), along(1, 8), along(2, 8)))
    target = Layout((4,), (copies(256), along(0, 4)))
    relation = dense(w, (3, 5, 5))
    np.testing.assert_allclose(relation(x), x.ravel() @ w)
    found = diagonals(source, target, relation, shares=True)
    total = found.apply(pack(source, x))
    for rotation in sum_over(as_shares(target), -1).rotations:
        total = total + np.roll(total, -rotation, -1)
    np.testing.assert_allclose(total, pack(target, x.ravel() @ w))
    assert found.count <= 8  # each of four results next to each of its sources


@pytest.mark.parametrize(("channels", "replicas", "size"), [(4, 2, 4), (8, 4, 4), (8, 2, 4), (16, 2, 8)])
def test_replicas_make_convolutions_cheaper(channels, replicas, size):
    """The counts of reference: 9 c / r products by 8 + c/r - 1 + log2 r rotations, and 9 c by 8 + c - 1."""
    plane = [along(1, size), along(2, size)]
    shape, wrap = (channels, size, size), (channels, 0, 0)
    shifted = Layout(shape, (along(0, replicas, channels // replicas), along(0, channels), *plane), wrap=wrap)
    same = Layout(shape, (copies(replicas), along(0, channels), *plane))
    relation = convolution(shape, SEED.normal(size=(channels, channels, 3, 3)), 1, 1)
    x = SEED.normal(size=shape)
    there = diagonals(shifted, same, relation, block=size**2, shares=True)
    total = there.apply(pack(shifted, x))
    turns = sum_over(as_shares(same), -1).rotations
    for rotation in turns:
        total = total + np.roll(total, -rotation, -1)
    np.testing.assert_allclose(total, pack(same, relation(x)))
    back = diagonals(same, shifted, relation, block=size**2)
    np.testing.assert_allclose(back.apply(pack(same, x)), pack(shifted, relation(x)))
    assert (there.count, rotations(there)) == (9 * channels // replicas, 8 + channels // replicas - 1)
    assert 2 ** len(turns) == replicas
    assert (back.count, rotations(back)) == (9 * channels, 8 + channels - 1)


def rotations(found):
    steps = found.split((0, 0)).values()
    return len({giant for giant, _ in steps} - {0}) + len({baby for _, baby in steps} - {0})


def test_a_strided_convolution_of_shifted_copies():
    """16 channels of 8 x 8 to 32 of 4 x 4: 64 products, 20 rotations, no mask, four equal copies."""
    shape = (16, 8, 8)
    source = Layout(shape, (along(0, 2, 4), along(0, 16), along(1, 8), along(2, 8)), wrap=(16, 0, 0))
    target = Layout(
        (32, 4, 4), (copies(4), along(0, 8, 4), along(1, 4), along(0, 2, 2), along(2, 4), along(0, 2))
    )
    relation = convolution(shape, SEED.normal(size=(32, 16, 3, 3)), 2, 1)
    x = SEED.normal(size=shape)
    found = diagonals(source, target, relation, block=64, shares=True)
    turns = sum_over(as_shares(target), -1)
    assert (found.count, rotations(found) + len(turns.rotations)) == (64, 20)
    assert turns.layout == target
    assert turns.is_clean
    total = found.apply(pack(source, x))
    for rotation in turns.rotations:
        total = total + np.roll(total, -rotation, -1)
    np.testing.assert_allclose(total, pack(target, relation(x)))


def test_a_repacking_is_a_map_like_any_other():
    """From gaps to dense, over other ciphertexts; a stride is one that leaves entries out."""
    source = Layout((8, 4), (along(0, 4), gap(2), along(1, 4)), ciphertexts=(along(0, 2, 4),))
    target = Layout((8, 4), (along(1, 4), along(0, 8)))
    x = SEED.normal(size=(8, 4))
    found = diagonals(source, target, identity((8, 4)))
    assert set(found.vectors) == {(0, 0), (0, 1)}
    np.testing.assert_allclose(unpack(target, found.apply(pack(source, x))), x)


def test_maps_that_do_not_fit_are_said():
    small, large = Layout((4,), (along(0, 4),)), Layout((4,), (along(0, 4), copies(2)))
    with pytest.raises(ValueError, match="shapes and slots must be equal"):
        diagonals(small, large, identity((4,)))
    with pytest.raises(NotAlignedError, match="take the parts first"):
        diagonals(small.replace(parts=(copies(2),)), small, identity((4,)))
    shifted = Layout((4,), (along(0, 2, 2), along(0, 4)), wrap=(4,))
    with pytest.raises(NotAlignedError, match="no digit of their own"):
        diagonals(large, shifted, identity((4,)), shares=True)
    with pytest.raises(ValueError, match="without a term"):
        none = np.zeros(0, int)
        diagonals(small, small, Relation((4,), (4,), none, none, np.zeros(0)))
    with pytest.raises(ValueError, match="does not have"):
        Relation((4,), (4,), np.array([4]), np.array([0]), np.ones(1))
    with pytest.raises(ValueError, match="one axis"):
        Relation((4,), (4,), np.array([3]), np.array([0, 1]), np.ones(1))
    with pytest.raises(ValueError, match=r"\[out, 3, "):
        convolution((3, 8, 8), np.ones((4, 2, 3, 3)))
    with pytest.raises(ValueError, match="the map takes"):
        identity((4,))(np.ones(5))
