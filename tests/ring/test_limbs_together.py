"""The matrix product as a GPU's row has it, one product of all limbs, against a CPU's and Python integers."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_matrix_product import DEGREE, ENTRIES, METHODS, MODULI, check, expected, residues, weights

from fhejax.ring import matrix_product, modular_matrix_product
from fhejax.ring.matrix_methods import LONGEST_SUM, sums_a_result
from fhejax.ring.platform import DEVICES

H200 = DEVICES["h200"]


def jitted():
    """The product, traced anew: a function of its own, as JAX would find what it traced for another row."""

    def function(w, x, moduli, bound, entries=None, bias=None, *, square=False, tile=None, method=None):
        given = {"square": square, "tile": tile, "method": method}
        return modular_matrix_product.__wrapped__(w, x, moduli, bound, entries, bias, **given)

    return jax.jit(function, static_argnames=("moduli", "bound", "square", "tile", "method"))


def with_room(numbers: int):
    return dataclasses.replace(H200, blocks=dataclasses.replace(H200.blocks, matrix_room=numbers))


@pytest.fixture
def on_a_card(monkeypatch):
    monkeypatch.setattr(matrix_product, "current_device", lambda: H200)
    return jitted()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bound", [1, 127, 128, 2**15, 2**22, 2**31 - 1])
def test_every_size_of_weights(on_a_card, bound, method):
    """One digit up to five, the largest terms of one sign in the outer rows, by one reduction or several."""
    w, x = weights(1, 3, 40, bound), residues(40, 2)
    found = on_a_card(w, jnp.asarray(x), MODULI, bound, method=method)
    check(found, expected(w, x))
    assert (found == modular_matrix_product(w, jnp.asarray(x), MODULI, bound)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("square", [False, True])
def test_groups_positions_absent_entries_squares_and_bias(on_a_card, square, method):
    w, x = weights(2, 3, 4, 300), residues(6, 2)
    bias = np.stack([np.arange(18) * 997 % q for q in MODULI], 1).astype(np.uint32)
    bias[0] = np.array(MODULI) - 1
    parts = [jnp.asarray(x[:2]), jnp.asarray(x[2:])]
    found = on_a_card(w, parts, MODULI, 300, ENTRIES, bias, square=square, method=method)
    check(found, expected(w, x, ENTRIES, bias, square))


@pytest.mark.parametrize("bound", [2**31 - 1, 2**32 // 5000])
def test_bytes_at_their_largest_in_long_sums(on_a_card, bound):
    """All digits of one side -128 or 127; sums on both sides of where one reduction is enough."""
    length = 5000
    lowest = sum(128 << 8 * place for place in range(3))  # all of its balanced digits but one are -128
    x = np.full((length, 1, len(MODULI), DEGREE), lowest, np.uint32)
    x[..., 1::2] = (0x3FFFFFFF, 0x3F7F7F7F)[bound % 2] % np.array(MODULI)[:, None]
    w = np.full((1, 2, length), bound, np.int32)
    w[0, 1] = -bound
    x = x % np.array(MODULI, np.uint32)[:, None]
    check(on_a_card(w, jnp.asarray(x), MODULI, bound, method="int8"), expected(w, x))


def test_few_squares(on_a_card):
    x = residues(12, 2)
    generator = np.random.default_rng(3)
    w = generator.integers(-1, 2, (3, 1, 8)).astype(np.int32)
    entries = generator.integers(-1, 12, (3, 8, 5)).astype(np.int32)
    bias = np.stack([generator.integers(0, q, 15) for q in MODULI], 1).astype(np.uint32)
    found = on_a_card(w, jnp.asarray(x), MODULI, 1, entries, bias, square=True)
    check(found, expected(w, x, entries, bias, True))


@pytest.mark.parametrize("method", METHODS)
def test_where_all_columns_have_no_room_there_is_a_loop(monkeypatch, method):
    w, x = weights(2, 3, 4, 300), np.tile(residues(6, 2), 4)
    for room, looped in ((2**10, True), (2**20, False)):
        monkeypatch.setattr(matrix_product, "current_device", functools.partial(with_room, room))
        function = jitted()
        found = function(w, jnp.asarray(x), MODULI, 300, ENTRIES, square=True, method=method)
        check(found, expected(w, x, ENTRIES, square=True))
        lowered = function.lower(w, x, MODULI, 300, ENTRIES, square=True, method=method)
        assert ("stablehlo.while" in lowered.as_text()) == looped


@given(st.data())
@settings(deadline=None, max_examples=12)
def test_any_shape_has_the_bits_of_a_cpu(data):
    groups, outs, length = (data.draw(st.integers(1, 4)) for _ in range(3))
    entry_count, positions = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 3))
    bound = data.draw(st.sampled_from([1, 5, 1023, 2**20]))
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    entries = generator.integers(-1, entry_count, (groups, length, positions)).astype(np.int32)
    w, x = weights(groups, outs, length, bound), jnp.asarray(residues(entry_count, 2))
    square = data.draw(st.booleans())
    right = modular_matrix_product(w, x, MODULI, bound, entries, square=square)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix_product, "current_device", lambda: H200)
        found = jitted()(w, x, MODULI, bound, entries, square=square)
    assert (found == right).all()


def test_jit_and_vmap_over_blocks(on_a_card):
    w, blocks = weights(2, 3, 4, 300), np.stack([residues(6, 2, seed) for seed in (1, 2)])
    results = jax.vmap(lambda x: on_a_card(w, x, MODULI, 300, ENTRIES, square=True))(jnp.asarray(blocks))
    for result, x in zip(results, blocks, strict=True):
        check(result, expected(w, x, ENTRIES, square=True))


def launches(function, limbs: int) -> int:
    """The kernels that an executable of so many limbs runs, each turn of its loop counted.

    On a CPU in place of the card: its fusions are others, but what a loop repeats it repeats as well.
    """
    x = jax.ShapeDtypeStruct((20, 2, limbs, 512), jnp.uint32)
    w = jax.ShapeDtypeStruct((1, 5, 20), jnp.int32)
    text = function.lower(w, x, MODULI[:limbs], 1023).compile().as_text()
    kernel = r" (fusion|dot|custom-call|copy|dynamic-update-slice|concatenate|transpose|call)\("
    count = 0
    for computation in text.split("\n\n"):
        name = computation.lstrip().split(" ", 1)[0]
        if "fused_computation" not in name and "parallel" not in name:
            turns = limbs * 512 // 128 if re.search(rf"body={re.escape(name)}[,\s]", text) else 1
            count += turns * len(re.findall(kernel, computation))
    return count


def test_a_few_kernels_in_place_of_a_loop_of_them(on_a_card, monkeypatch):
    together = {limbs: launches(on_a_card, limbs) for limbs in (1, 3)}
    assert together[1] == together[3] <= H200.costs.tile_launches
    monkeypatch.undo()
    assert launches(jitted(), 3) > 3 * 512 // 128 * 6


def test_lowered_for_a_card_it_is_one_product_of_bytes(on_a_card):
    x, w = jax.ShapeDtypeStruct((20, 2, 3, 4096), jnp.uint32), jax.ShapeDtypeStruct((1, 5, 20), jnp.int32)
    traced = on_a_card.trace(w, x, MODULI, 1023)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    products = re.findall(r"stablehlo\.dot_general.*: \((.*)\) -> (.*)", text)
    assert products == [("tensor<1x10x20xi8>, tensor<1x20x1x2x3x4096x4xi8>", "tensor<1x10x1x2x3x4096x4xi32>")]
    assert "stablehlo.while" not in text


def test_sums_too_long_for_bytes_take_float64_or_are_refused(on_a_card):
    length = LONGEST_SUM
    x, w = jax.ShapeDtypeStruct((length, 1, 3, 16), jnp.uint32), jax.ShapeDtypeStruct((1, 1, length), "int32")
    assert "f64" in on_a_card.lower(w, x, MODULI, 1).as_text()
    with pytest.raises(
        ValueError, match=r"a sum of 131072 products was asked for by bytes.*the method float64\."
    ):
        on_a_card.lower(w, x, MODULI, 1, method="int8")


def test_sums_that_have_to_find_room():
    assert sums_a_result(127, 1000, "int8") == 4
    assert sums_a_result(128, 1000, "int8") == 8
    assert sums_a_result(127, 1000, "float64") == 1
