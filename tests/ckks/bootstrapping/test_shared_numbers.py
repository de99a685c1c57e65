"""Numbers that all slots share, bootstrapped together."""

import functools

import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrap_shared,
    bootstrapping_circuit,
    bootstrapping_keys,
    shared_rotations,
)
from fhejax.ckks.keys import KeyManifest

OPTIONS = BootstrappingOptions(
    hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
)


@functools.cache
def setting(slots: int = 16) -> tuple[ckks.SecretKey, BootstrappingKeys]:
    parameters = BootstrappingParameters.for_levels(6, degree=64, slots=slots, insecure=True, options=OPTIONS)
    secret = ckks.secret_key(ckks.random_key(), parameters.params)
    levels = dict.fromkeys((*shared_rotations(16), "conjugate"), parameters.output_level)
    circuit = bootstrapping_circuit(parameters)
    return secret, bootstrapping_keys(ckks.random_key(), secret, circuit, KeyManifest.of(levels))


@pytest.mark.nightly
@pytest.mark.parametrize("count", [1, 2, 3, 7, 16])
def test_every_number_comes_back_in_every_slot(count):
    secret, keys = setting()
    parameters, params = keys.circuit.parameters, secret.params
    numbers = np.random.default_rng(count).uniform(-1, 1, count) / 16
    plain = [ckks.encode(params, np.full(params.slots, v), level=parameters.input_level) for v in numbers]
    found = bootstrap_shared(keys, [ckks.encrypt(ckks.random_key(), secret, p) for p in plain])
    assert len(found) == count
    for number, ciphertext in zip(numbers, found, strict=True):
        assert ciphertext.level == parameters.output_level
        np.testing.assert_allclose(ckks.decode(ckks.decrypt(secret, ciphertext)), number, atol=1e-4)


def test_rotations_are_those_below_a_quarter_of_the_places():
    assert shared_rotations(1) == shared_rotations(2) == ()
    assert shared_rotations(3) == shared_rotations(4) == (1,)
    assert shared_rotations(9) == shared_rotations(100) == (1, 2, 4)


def test_too_many_or_no_numbers_are_refused():
    _, keys = setting()
    with pytest.raises(ValueError, match="give 1 to 16"):
        bootstrap_shared(keys, [])


def test_more_numbers_than_the_slots_of_parameters_keep_are_refused():
    secret, keys = setting(4)
    plain = ckks.encode(secret.params, [0.01], level=keys.circuit.parameters.input_level)
    ciphertext = ckks.encrypt(ckks.random_key(), secret, plain)
    with pytest.raises(ValueError, match="by parameters of 4 slots, which keep 8 coefficients"):
        bootstrap_shared(keys, [ciphertext] * 9)
