"""Levels that share kernels: the bits of those that do not, and fewer kernels."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import arithmetic, levels
from fhejax.ckks.keys import KeyManifest, required_keys, shared_levels
from fhejax.ckks.keys.shared_levels import shared_level, working_level
from fhejax.ckks.linear_transform import apply_linear_transform, linear_transform
from fhejax.ring.compile_ahead import _Collector, compile_ahead, shape_of
from fhejax.ring.platform import TWO_CORES

DEPTH = 11  # 13 primes, two at level 0: digits of 8 and of 5, shared by pairs
SHARING = dataclasses.replace(TWO_CORES, blocks=dataclasses.replace(TWO_CORES.blocks, levels_shared_from=32))
STEPS = (1, 0, 5)


@pytest.fixture(scope="module")
def held():
    params = ckks.insecure_parameters(32, DEPTH, 28.0, digit_size=8, real=False)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, relinearise=True, rotations=(1, 2, 5))
    values = np.random.default_rng(0).uniform(-1, 1, (2, params.slots))
    return keys, ckks.encrypt(third, secret, ckks.encode(params, values))


def shared(monkeypatch, device=SHARING):
    monkeypatch.setattr(shared_levels, "current_device", lambda: device)


def transformed(keys, x):
    """By three distances, two of them babies."""
    rows = np.random.default_rng(1).normal(size=(3, x.params.slots))
    diagonals = dict(zip((0, 1, 6), rows, strict=True))
    split = {0: (0, 0), 1: (0, 1), 6: (5, 1)}
    transform = linear_transform(x.params, diagonals, level=x.level, split=split, transformed=False)
    return apply_linear_transform(keys, x, transform)


OPERATIONS = {
    "rotate": lambda keys, x: ckks.rotate(keys, x, 2),
    "hoisted rotations": lambda keys, x: ckks.rotate_hoisted(keys, x, STEPS),
    "square": ckks.square,
    "product, lower": lambda keys, x: ckks.relinearise(
        keys, arithmetic.tensor(x, x), target_level=max(0, x.level - 2)
    ),
    "rescale": lambda keys, x: ckks.rescale(x),
    "rescale of three to the last": lambda keys, x: levels.rescale(arithmetic.tensor(x, x), 0),
    "linear transform": transformed,
}


@pytest.mark.parametrize("level", [1, 7])
@pytest.mark.parametrize("name", OPERATIONS)
def test_bits_are_those_of_the_level_itself(held, monkeypatch, name, level):
    """Of levels that share kernels with the next one, in the first digit and the second."""
    keys, x = held
    x = ckks.drop_level(x, level)
    right = OPERATIONS[name](keys, x)
    shared(monkeypatch)
    found = OPERATIONS[name](keys, x)
    pairs = zip(found, right, strict=True) if isinstance(found, list) else [(found, right)]
    for one, other in pairs:
        assert (one.data == other.data).all()
        assert (one.level, one.scale) == (other.level, other.scale)


def test_levels_share_kernels(held, monkeypatch):
    """The level below compiles nothing more but copies, and the tensor before a relinearisation."""
    keys, x = held
    shared(monkeypatch)
    found = set()

    def note(self, compiled, *given):
        shapes, structure = jax.tree.flatten(jax.tree.map(shape_of, given))
        found.add((compiled.__name__, structure, tuple(shapes)))

    monkeypatch.setattr(_Collector, "add", note)

    def run(level):
        for name in ("rotate", "square", "rescale", "linear transform"):
            OPERATIONS[name](keys, ckks.drop_level(x, level))
        return x.data

    compile_ahead(functools.partial(run, 8))
    alone = set(found)
    assert {"_decompose", "_divide_component", "rotate_pair", "_streamed_sum"} <= {name for name, *_ in alone}
    compile_ahead(functools.partial(run, 7))
    assert {name for name, *_ in found - alone} <= {"_padded", "_joined", "_row", "permute", "_square_tensor"}


def test_shared_levels_end_with_a_quarter_of_a_digit(held):
    keys, _ = held
    found = [shared_level(keys.params, level) for level in range(DEPTH + 1)]
    assert found == [0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 11]


def test_digits_of_one_prime_share_nothing():
    params = ckks.insecure_parameters(32, 3, 28.0, digit_size=1)
    assert [shared_level(params, level) for level in range(4)] == [0, 1, 2, 3]


def test_levels_that_lose_their_first_primes_share_nothing_across_them():
    params = ckks.insecure_parameters(32, 4, 40, rational=True, digit_size=8)
    for level in range(params.depth + 1):
        higher = shared_level(params, level)
        assert params.contains(higher, level)
        assert params.limb_range(higher)[0] == params.limb_range(level)[0]


def test_with_keys_of_too_low_a_level_kernels_work_at_the_level_itself(held, monkeypatch):
    keys, x = held
    shared(monkeypatch)
    relinearisation = keys.relinearisation
    low = SimpleNamespace(level=7)
    assert working_level(keys.params, 7, x.data, [relinearisation]) == 8
    assert working_level(keys.params, 7, x.data, [relinearisation, low]) == 7


@pytest.mark.parametrize("device", [TWO_CORES, dataclasses.replace(SHARING, launch=1e-6)])
def test_small_rings_and_devices_that_launch_slowly_share_nothing(held, monkeypatch, device):
    keys, x = held
    shared(monkeypatch, device)
    assert working_level(keys.params, 7, x.data) is None


def test_plans_ask_for_keys_of_shared_levels(held, monkeypatch):
    _, x = held
    shared(monkeypatch)
    estimate = ckks.estimate(x.params, np.ones(x.params.slots), level=7)
    manifest = required_keys(lambda held, x: ckks.rotate(held, x, 2), estimate)
    assert manifest == KeyManifest.of({2: 8})


def test_within_a_function_that_is_traced_nothing_is_shared(held, monkeypatch):
    keys, x = held
    x = ckks.drop_level(x, 7)
    right = ckks.square(keys, x)
    shared(monkeypatch)
    assert (jax.jit(ckks.square)(keys, x).data == right.data).all()
