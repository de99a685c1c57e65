"""A bootstrap where each launch takes time, as on a GPU: one executable a stage, with the same bits."""

import dataclasses

import jax
import numpy as np
import pytest
from executables import executables

from benchmarks.bootstrapping_cases import make_case
from fhejax import ckks
from fhejax.ckks import arithmetic, operation, rotation
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    bootstrap_circuit,
    bootstrap_pair,
    bootstrapping_circuit,
    bootstrapping_keys,
)
from fhejax.ckks.levels import bring_down
from fhejax.ring import one_executable
from fhejax.ring.compile_ahead import compile_ahead
from fhejax.ring.platform import DEVICES

H200 = DEVICES["h200"]
# The ring and levels of `test_bootstrapping`, whose kernels are there already.
OPTIONS = {
    "degree": 32,
    "ratio_bits": 10,
    "coefficients_to_slots": 2,
    "slots_to_coefficients": 1,
    "hamming_weight": 4,
    "polynomial_degree": 15,
    "double_angles": 2,
    "insecure": True,
    "slots": 16,
    "minimum_keys": False,
}
STAGES = 6  # three, of which the third is one for each of its two matrices, the reduction and its division


@dataclasses.dataclass(frozen=True)
class Held:
    """Keys, two ciphertexts, and both bootstrapped as on a CPU."""

    secret: ckks.SecretKey
    keys: BootstrappingKeys
    pair: tuple[ckks.Ciphertext, ckks.Ciphertext]
    right: list[ckks.Ciphertext]


@pytest.fixture(scope="module")
def held():
    parameters = make_case(1, OPTIONS, 0).parameters
    first, second, third, fourth = jax.random.split(ckks.random_key(), 4)
    secret = ckks.secret_key(first, parameters.params)
    keys = bootstrapping_keys(second, secret, bootstrapping_circuit(parameters))
    values = np.random.default_rng(0).uniform(-1, 1, (2, 2, parameters.params.slots))
    pair = tuple(
        ckks.encrypt(key, secret, ckks.encode(parameters.params, part, level=parameters.input_level))
        for key, part in zip((third, fourth), values, strict=True)
    )
    right = [ckks.bootstrap(keys, pair[0], target_level=0), *bootstrap_pair(keys, *pair)]
    return Held(secret, keys, pair, right)


def forced(monkeypatch, row):
    for module in (operation, arithmetic, rotation, bootstrap_circuit):
        monkeypatch.setattr(module, "current_device", lambda: row)


def agree(found, right):
    assert (found.data == right.data).all()
    assert (found.level, found.scale, found.components) == (right.level, right.scale, right.components)


def test_a_stage_is_one_executable_with_the_bits_of_a_cpu(held, monkeypatch):
    forced(monkeypatch, H200)
    one_executable._executable.cache_clear()
    with executables() as made:
        found = ckks.bootstrap(held.keys, held.pair[0])
    assert made == [STAGES]
    assert found.key_id is held.pair[0].key_id  # so that nothing waits for it to be compared
    agree(bring_down(found, 0), held.right[0])
    with executables() as made:
        for one, other in zip(bootstrap_pair(held.keys, *held.pair), held.right[1:], strict=True):
            agree(one, other)
    assert made[0] <= 3  # the sum with i times the second, and what separates both


def test_stages_are_compiled_side_by_side(held, monkeypatch):
    forced(monkeypatch, H200)
    assert compile_ahead(ckks.bootstrap, held.keys, held.pair[0]) == STAGES
    with executables() as made:
        ckks.bootstrap(held.keys, held.pair[0])
    assert made == [0]


def test_keys_that_do_not_belong_are_refused_before_the_first_stage(held, monkeypatch):
    def altered(key):
        return dataclasses.replace(key, key_id=np.asarray(key.key_id) ^ np.uint32(1))

    forced(monkeypatch, H200)
    evaluation, sparse = held.keys.evaluation, held.keys.dense_to_sparse
    foreign = dataclasses.replace(evaluation, relinearisation=altered(evaluation.relinearisation))
    with pytest.raises(ValueError, match="the key of relinearisation among the evaluation keys belongs to"):
        ckks.bootstrap(dataclasses.replace(held.keys, evaluation=foreign), held.pair[0])
    with pytest.raises(ValueError, match="a key of sparse-secret encapsulation met a ciphertext of another"):
        ckks.bootstrap(dataclasses.replace(held.keys, dense_to_sparse=altered(sparse)), held.pair[0])


def test_estimates_are_those_of_a_cpu(held, monkeypatch):
    parameters = held.keys.circuit.parameters
    guess = ckks.estimate(
        parameters.params, np.linspace(-1, 1, parameters.params.slots), level=parameters.input_level
    )
    without = BootstrappingKeys(held.keys.circuit)
    right = ckks.bootstrap(without, guess)
    forced(monkeypatch, H200)
    assert repr(ckks.bootstrap(without, guess)) == repr(right)
