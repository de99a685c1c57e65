"""Convolutions of one encrypted image, channels and pixels in the slots, written against layouts.

Encrypted on small rings: results against NumPy, errors against their prediction, operations against counts.
"""

import numpy as np
import pytest
from small_schemes import Held, run

from fhejax import ckks
from fhejax.program.packing.layout import (
    Layout,
    along,
    as_shares,
    convolution,
    copies,
    dense,
    diagonals,
    pack,
    spread,
    sum_over,
)
from fhejax.program.packing.slot_operations import (
    add_plain_array,
    add_up,
    apply_plain_map,
    encode_plain_map,
)

CHANNELS, SIZE, REPLICAS = 8, 8, 2
PLANE = (along(1, SIZE), along(2, SIZE))
SHAPE = (CHANNELS, SIZE, SIZE)
SHIFTED = Layout(
    SHAPE, (along(0, REPLICAS, CHANNELS // REPLICAS), along(0, CHANNELS), *PLANE), wrap=(CHANNELS, 0, 0)
)
SAME = Layout(SHAPE, (copies(REPLICAS), along(0, CHANNELS), *PLANE))


def parameters(slots: int, depth: int) -> ckks.Parameters:
    """Keys of one digit, which take the least time to compile."""
    return ckks.insecure_parameters(slots, depth, digit_size=depth + 1)


def weights(out: int, into: int, seed: int, size: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(out, into, size, size)) * 0.5 / size / np.sqrt(into)


def image(shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape)


class LinearLayer:
    """A plain map from one layout to another at one level, its shares added up."""

    def __init__(self, params, source, target, relation, level, block, shares):
        self.found = diagonals(source, target, relation, block=block, shares=shares)
        self.transforms = encode_plain_map(params, self.found, level)
        self.target = target
        self.shares = sum_over(as_shares(target), -1) if shares else None

    @property
    def cost(self) -> tuple[int, int]:
        """(products, rotations)."""
        switches = sum(sum(t.key_switches) for row in self.transforms for t in row)
        return self.found.count, switches + (len(self.shares.rotations) if self.shares else 0)

    def __call__(self, keys, x: Held) -> Held:
        result = apply_plain_map(keys, x.ciphertexts, self.transforms)
        if self.shares:
            result = add_up(keys, result, self.shares)
            assert (self.shares.layout, self.shares.is_clean) == (self.target, True)
        return Held(self.target, result)


def assert_as_predicted(outcome, wanted, tolerance=0.5):
    found, predicted = outcome.bits
    assert abs(found - predicted) < tolerance
    assert abs(outcome.slots - pack(outcome.layout, wanted)).max() < 2**-9  # every copy, zero elsewhere


@pytest.mark.parametrize("shares", [True, False], ids=["shifted to same", "same to shifted"])
def test_a_convolution_of_stride_1(shares):
    params = parameters(1024, 3)
    relation = convolution(SHAPE, weights(CHANNELS, CHANNELS, 1), 1, 1)
    source, target = (SHIFTED, SAME) if shares else (SAME, SHIFTED)
    layer = LinearLayer(params, source, target, relation, 3, SIZE**2, shares)
    x = image(SHAPE)
    outcomes, counter = run(params, lambda keys, x: {"y": layer(keys, x)}, {"x": (source, x)})
    assert_as_predicted(outcomes["y"], relation(x))
    # 9 c / r products and 8 + c/r - 1 + log2 r rotations; 9 c and 8 + c - 1 on the way back
    assert layer.cost == ((36, 12) if shares else (72, 15))
    assert counter.rotations_done == len(set(counter.counts)) == layer.cost[1]


@pytest.mark.nightly
def test_a_strided_convolution_of_shifted_copies():
    """16 channels of 8 x 8 to 32 of 4 x 4 in each other's gaps: one level, no mask, four equal copies."""
    params = parameters(2048, 1)
    shape = (16, 8, 8)
    source = Layout(shape, (along(0, 2, 4), along(0, 16), *PLANE), wrap=(16, 0, 0))
    target = Layout(
        (32, 4, 4), (copies(4), along(0, 8, 4), along(1, 4), along(0, 2, 2), along(2, 4), along(0, 2))
    )
    relation = convolution(shape, weights(32, 16, 2), 2, 1)
    layer = LinearLayer(params, source, target, relation, 1, 64, shares=True)
    x = image(shape)
    outcomes, counter = run(params, lambda keys, x: {"y": layer(keys, x)}, {"x": (source, x)})
    assert_as_predicted(outcomes["y"], relation(x))
    assert layer.cost == (64, 20)
    assert counter.rotations_done == 20


def test_a_residual_block_meets_in_one_layout_level_and_scale():
    """Convolution, square, convolution, and the image itself added: from shifted to equal copies and back."""
    params = parameters(1024, 3)
    first = convolution(SHAPE, weights(CHANNELS, CHANNELS, 3), 1, 1)
    second = convolution(SHAPE, weights(CHANNELS, CHANNELS, 4), 1, 1)
    bias = image((CHANNELS, 1, 1), 5)
    there = LinearLayer(params, SHIFTED, SAME, first, 3, SIZE**2, shares=True)
    back = LinearLayer(params, SAME, SHIFTED, second, 1, SIZE**2, shares=False)

    def block(keys, x):
        z = add_plain_array(there(keys, x).ciphertexts, spread(SAME, bias))
        squares = [ckks.add(ckks.square(keys, part), part) for part in z]
        y = back(keys, Held(SAME, squares))
        assert y.layout == x.layout
        total = [ckks.add(a, b) for a, b in zip(y.ciphertexts, x.ciphertexts, strict=True)]
        assert [(c.level, c.scale) for c in total] == [(0, params.scales[0])]
        return {"y": Held(y.layout, total)}

    x = image(SHAPE)
    outcomes, counter = run(params, block, {"x": (SHIFTED, x)})
    z = first(x) + bias
    assert_as_predicted(outcomes["y"], second(z**2 + z) + x)
    assert (there.cost, back.cost) == ((36, 12), (72, 15))
    assert (counter.rotations_done, counter.relinearisations) == (27, 1)


def test_a_dense_head_of_an_image_with_gaps():
    """Contracted over channels, rows and columns of 5 in 8: nothing is flattened, all copies are right."""
    params = parameters(1024, 3)
    shape = (8, 5, 5)
    source = Layout(shape, (copies(2), along(0, 8), along(1, 8), along(2, 8)))
    target = Layout((4,), (copies(256), along(0, 4)))
    relation = dense(np.random.default_rng(6).normal(size=(200, 4)) / 20, shape)
    layer = LinearLayer(params, source, target, relation, 3, 1, shares=True)
    x = image(shape)
    outcomes, _ = run(params, lambda keys, x: {"y": layer(keys, x)}, {"x": (source, x)})
    assert_as_predicted(outcomes["y"], relation(x), tolerance=1.5)  # 4 results: few errors, much copied
    assert layer.cost[0] <= 8
