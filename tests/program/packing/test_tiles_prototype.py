"""A training step of a small dense network, encrypted: weights, samples and labels in tiles.

Slots, from the top: inputs or outputs and a guard bit, hidden features, samples. Layers alternate between the
first two fields, so that nothing is ever repacked, and the one mask of a step carries the learning rate.
"""

import dataclasses

import numpy as np
import pytest
from small_schemes import Held, run

from fhejax import ckks
from fhejax.ckks.evaluation import add_scalar, multiply_integer
from fhejax.program.packing.layout import (
    Layout,
    along,
    broadcast,
    copied,
    copies,
    gap,
    mask,
    pack,
    sum_over,
)
from fhejax.program.packing.slot_operations import add_rotated, add_up, inner_product, multiply_plain_array

RATE, BATCH, HIDDEN, OUTPUTS = 0.5, 16, 8, 4


@dataclasses.dataclass(frozen=True)
class Tiles:
    """The indices of both layers' products, (sample, in, out): all else follows from them."""

    first: Layout
    second: Layout

    @staticmethod
    def of(inputs: int) -> "Tiles":
        across = (along(1, inputs // 8, 8),)
        return Tiles(
            Layout(
                (BATCH, inputs, HIDDEN), (along(1, 8), along(2, HIDDEN), along(0, BATCH)), ciphertexts=across
            ),
            Layout(
                (BATCH, HIDDEN, OUTPUTS), (along(2, OUTPUTS), copies(2), along(1, HIDDEN), along(0, BATCH))
            ),
        )

    def inputs(self) -> dict[str, Layout]:
        """Samples, labels, and the weights of both layers."""
        count = self.first.shape[1]
        across = self.first.ciphertexts
        onto = {"ciphertexts": tuple(along(0, digit.size, 8) for digit in across)}
        return {
            "x": Layout((BATCH, count), (along(1, 8), copies(HIDDEN), along(0, BATCH)), ciphertexts=across),
            "y": Layout((BATCH, OUTPUTS), (along(1, OUTPUTS), gap(2), copies(HIDDEN), along(0, BATCH))),
            "w1": Layout((count, HIDDEN), (along(0, 8), along(1, HIDDEN), copies(BATCH)), **onto),
            "w2": Layout((HIDDEN, OUTPUTS), (along(1, OUTPUTS), copies(2), along(0, HIDDEN), copies(BATCH))),
        }


def read_as(held: Held, box: Layout, axes) -> list:
    """The ciphertexts of a factor of a product, one for each of the product's."""
    times = box.ciphertext_count // held.layout.ciphertext_count
    layout = held.layout.replace(ciphertexts=(copies(times), *held.layout.ciphertexts))
    broadcast(layout, box, axes)
    return held.ciphertexts * times


def contract(keys, box: Layout, axis: int, factors, over_gaps: bool = False) -> Held:
    """The sum over one axis of the product of two factors: those of one sum are relinearised together."""
    (x, x_axes), (y, y_axes) = factors
    planned = sum_over(box, axis, over_gaps=over_gaps)
    left, right = read_as(x, box, x_axes), read_as(y, box, y_axes)
    products = [inner_product(keys, [(left[n], right[n]) for n in group]) for group in planned.groups]
    return Held(planned.layout, [add_rotated(keys, total, planned.rotations) for total in products])


def guarded(box: Layout) -> Layout:
    """The indices of a product of which one factor is right where the guard is 0 alone."""
    return box.replace(slots=tuple(gap(digit.size) if digit.is_copy else digit for digit in box.slots))


def training_step(tiles: Tiles, keys, x: Held, y: Held, w1: Held, w2: Held) -> dict[str, Held]:
    first, second = tiles.first, tiles.second
    z1 = contract(keys, first, 1, [(x, (0, 1)), (w1, (1, 2))])
    a1 = Held(z1.layout, [ckks.add(ckks.square(keys, z1.one()), z1.one())])
    z2 = contract(keys, second, 1, [(a1, (0, 1)), (w2, (1, 2))])  # right where the guard is 0
    d2 = Held(z2.layout, [ckks.subtract(z2.one(), y.one())])
    half = w2.layout.replace(slots=(along(1, OUTPUTS), gap(2), along(0, HIDDEN), copies(BATCH)))
    masked = Held(half, multiply_plain_array(w2.ciphertexts, mask(half)))
    e1 = contract(keys, guarded(second), 2, [(d2, (0, 2)), (masked, (1, 2))], over_gaps=True)
    assert e1.layout == z1.layout
    slope = add_scalar(multiply_integer(z1.one(), 2), 1.0)
    d1 = Held(e1.layout, [inner_product(keys, [(e1.one(), slope)])])
    return {
        "w1": updated(keys, w1, contract_samples(keys, first, [(x, (0, 1)), (d1, (0, 2))])),
        "w2": updated(keys, w2, contract_samples(keys, guarded(second), [(a1, (0, 1)), (d2, (0, 2))])),
    }


def contract_samples(keys, box: Layout, factors) -> Held:
    """The gradient, right at one sample's place and where no guard is."""
    (x, x_axes), (y, y_axes) = factors
    pairs = zip(read_as(x, box, x_axes), read_as(y, box, y_axes), strict=True)
    planned = sum_over(box, 0)
    assert not planned.is_clean
    return Held(planned.layout, add_up(keys, [inner_product(keys, [pair]) for pair in pairs], planned))


def updated(keys, weights: Held, gradient: Held) -> Held:
    """The weights less the rate times the mean gradient: masked, and copied to where the weights lie."""
    clean = multiply_plain_array(gradient.ciphertexts, mask(gradient.layout, RATE / BATCH))
    layout, rotations = copied(gradient.layout)
    assert layout == weights.layout
    change = [add_rotated(keys, part, rotations) for part in clean]
    return Held(layout, [ckks.subtract(w, d) for w, d in zip(weights.ciphertexts, change, strict=True)])


def plain_step(x, y, w1, w2):
    z1 = x @ w1
    a1 = z1**2 + z1
    d2 = a1 @ w2 - y
    d1 = d2 @ w2.T * (2 * z1 + 1)
    return {"w1": w1 - RATE * x.T @ d1 / BATCH, "w2": w2 - RATE * a1.T @ d2 / BATCH}


@pytest.mark.nightly
@pytest.mark.parametrize("inputs", [8, 16])
def test_a_training_step(inputs):
    """8-8-4 and 16-8-4, 16 samples: seven levels, and the key switches of reference."""
    generator = np.random.default_rng(inputs)
    params = ckks.insecure_parameters(1024, 7, digit_size=8)  # of one digit: the least time to compile
    tiles = Tiles.of(inputs)
    arrays = {
        "x": generator.uniform(-1, 1, (BATCH, inputs)),
        "y": generator.uniform(0, 1, (BATCH, OUTPUTS)),
        "w1": generator.normal(size=(inputs, HIDDEN)) * 0.5 / np.sqrt(inputs),
        "w2": generator.normal(size=(HIDDEN, OUTPUTS)) * 0.5 / np.sqrt(HIDDEN),
    }
    layouts = tiles.inputs()
    given = {name: (layouts[name], array) for name, array in arrays.items()}
    outcomes, counter = run(params, lambda keys, **held: training_step(tiles, keys, **held), given)
    wanted = plain_step(**arrays)
    for name, outcome in outcomes.items():
        assert outcome.layout == layouts[name]
        assert {estimate.level for estimate in outcome.predicted} == {{"w1": 0, "w2": 2}[name]}
        assert abs(outcome.slots - pack(outcome.layout, wanted[name])).max() < 2**-9  # every copy
        found, predicted = outcome.bits
        assert abs(found - predicted) < 0.5
    # n C_l (1 + s + r) and so on: see the table of the packing
    across = inputs // 8
    forward, backward = (1 + 3 + 1) + (1 + 3), 1 + 3 + 1
    gradients, spreads = (across + 1) * (1 + 4), across * 4 + 4 + 1
    switches = counter.rotations_done + counter.relinearisations
    assert switches == forward + backward + gradients + spreads == {8: 33, 16: 42}[inputs]
    assert counter.relinearisations == 3 + 2 + across + 1
