"""Operations where each launch takes time, as on a GPU: one executable each, with the same bits."""

import dataclasses

import jax
import numpy as np
import pytest
from executables import executables

from fhejax import ckks
from fhejax.ckks import arithmetic, rotation
from fhejax.ring.platform import DEVICES, TWO_CORES

H200 = DEVICES["h200"]
STEPS = (1, 0, 2, 1)


@pytest.fixture(scope="module")
def held():
    params = ckks.insecure_parameters(32, 3, 28.0, digit_size=2)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=(1, 2))
    values = np.random.default_rng(0).uniform(-1, 1, (5, params.slots))
    return keys, ckks.encrypt(third, secret, ckks.encode(params, values))


OPERATIONS = {
    "add": lambda keys, x: ckks.add(x, x),
    "negate": lambda keys, x: ckks.negate(x),
    "multiply": lambda keys, x: ckks.multiply(keys, x, x),
    "square": ckks.square,
    "rotate": lambda keys, x: ckks.rotate(keys, x, 1),
    "rescale": lambda keys, x: ckks.rescale(x),
    "hoisted rotations": lambda keys, x: ckks.rotate_hoisted(keys, x, STEPS),
}


def forced(monkeypatch, row):
    for module in (arithmetic, rotation):
        monkeypatch.setattr(module, "current_device", lambda: row)


def of_item(x, number):
    return x.replace(data=x.data[number])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_one_executable_with_the_bits_of_a_cpu(held, monkeypatch, name):
    """The five ciphertexts have shapes of their own; one by one they are computed as on a CPU."""
    keys, x = held
    forced(monkeypatch, H200)
    with executables() as made:
        found = OPERATIONS[name](keys, x)
    assert made == [1]
    forced(monkeypatch, TWO_CORES)
    for number in (0, 4):
        right = OPERATIONS[name](keys, of_item(x, number))
        pairs = zip(found, right, strict=True) if isinstance(found, list) else [(found, right)]
        for one, other in pairs:
            assert (one.data[number] == other.data).all()
            assert (one.level, one.scale, one.components) == (other.level, other.scale, other.components)


@pytest.mark.parametrize(
    ("count", "most", "together"), [(100, 128, 100), (100, 64, 50), (5, 2, 2), (0, 4, 1)]
)
def test_turns_are_few_and_equal(monkeypatch, count, most, together):
    blocks = dataclasses.replace(H200.blocks, relinearised=most)
    forced(monkeypatch, dataclasses.replace(H200, blocks=blocks))
    assert arithmetic._switched_together(count, 1000) == together
    narrow = dataclasses.replace(blocks, matrix_room=3000)
    forced(monkeypatch, dataclasses.replace(H200, blocks=narrow))
    assert arithmetic._switched_together(100, 1000) == min(most, 3)
    forced(monkeypatch, TWO_CORES)
    assert arithmetic._switched_together(6, 1000) == 2


def test_a_last_turn_that_is_not_full(held, monkeypatch):
    keys, x = held
    x = x.replace(data=x.data[:3])  # a shape of its own
    blocks = dataclasses.replace(H200.blocks, relinearised=2)
    forced(monkeypatch, dataclasses.replace(H200, blocks=blocks))
    found = ckks.relinearise(keys, arithmetic.square_tensor(x))
    forced(monkeypatch, TWO_CORES)
    for number in range(3):
        right = ckks.relinearise(keys, arithmetic.square_tensor(of_item(x, number)))
        assert (found.data[number] == right.data).all()


def test_estimates_and_refusals_are_those_of_a_cpu(held, monkeypatch):
    keys, x = held
    guess = ckks.estimate(x.params, np.linspace(-1, 1, x.params.slots))
    right = [ckks.multiply(None, guess, guess), ckks.square(None, guess)]
    three = arithmetic.square_tensor(x)
    forced(monkeypatch, H200)
    found = [ckks.multiply(None, guess, guess), ckks.square(None, guess)]
    assert [repr(one) for one in found] == [repr(one) for one in right]
    with pytest.raises(ValueError, match="with 3 and 2 components was asked for; both need 2"):
        ckks.multiply(keys, three.replace(scale=x.scale), x)
    with pytest.raises(ValueError, match="the square of a ciphertext with 3 components"):
        ckks.square(keys, three)
    with pytest.raises(ValueError, match="relinearis"):
        ckks.multiply(dataclasses.replace(keys, relinearisation=None), x, x)


def test_rotations_by_nothing_need_no_key(held, monkeypatch):
    keys, x = held
    forced(monkeypatch, H200)
    assert [one.data is x.data for one in ckks.rotate_hoisted(keys, x, (0, 0))] == [True, True]
    assert ckks.rotate_hoisted(keys, x, ()) == []
