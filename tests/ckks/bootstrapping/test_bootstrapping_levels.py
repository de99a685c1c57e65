"""A bootstrap to a chosen level."""

import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrapping_circuit,
    bootstrapping_keys,
)


def parameters() -> BootstrappingParameters:
    options = BootstrappingOptions(
        hamming_weight=4, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
    )
    return BootstrappingParameters.for_levels(6, degree=64, slots=16, insecure=True, options=options)


@pytest.mark.parametrize("below", [0, 1, 2])
def test_the_result_has_the_level_and_its_own_scale(below):
    """Estimates go the same way as ciphertexts, and need no key."""
    chosen = parameters()
    params, target = chosen.params, chosen.output_level - below
    values = np.tile(np.random.default_rng(0).uniform(-1, 1, 16), params.slots // 16)
    blank = BootstrappingKeys(bootstrapping_circuit(chosen))
    estimate = ckks.estimate(params, values, level=chosen.input_level)
    found = ckks.bootstrap(blank, estimate, target_level=target)
    assert (found.level, found.scale) == (target, params.scales[target])
    np.testing.assert_allclose(found.values.real, values, atol=2.0**-20)


@pytest.mark.nightly
def test_a_ciphertext_goes_there_too():
    chosen = parameters()
    params, target = chosen.params, chosen.output_level - 2
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = bootstrapping_keys(ckks.random_key(), secret, bootstrapping_circuit(chosen))
    values = np.tile(np.random.default_rng(0).uniform(-1, 1, 16), params.slots // 16)
    plaintext = ckks.encode(params, values, level=chosen.input_level)
    found = ckks.bootstrap(keys, ckks.encrypt(ckks.random_key(), secret, plaintext), target_level=target)
    assert (found.level, found.scale) == (target, params.scales[target])
    np.testing.assert_allclose(ckks.decode(ckks.decrypt(secret, found)).real, values, atol=2.0**-18)


@pytest.mark.parametrize("target", [-1, 100])
def test_other_levels_are_refused(target):
    blank = BootstrappingKeys(bootstrapping_circuit(parameters()))
    x = ckks.estimate(parameters().params, np.zeros(4))
    with pytest.raises(ValueError, match="can be reached"):
        ckks.bootstrap(blank, x, target_level=target)
