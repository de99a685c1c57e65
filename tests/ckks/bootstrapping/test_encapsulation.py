"""Sparse-secret encapsulation: where the sparse secret exists, and that the message survives it."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingOptions, encapsulation
from fhejax.ckks.bootstrapping.encapsulation import (
    check_sparse_security,
    decapsulate,
    encapsulate,
    encapsulation_keys,
    encapsulation_parameters,
)
from fhejax.ckks.bootstrapping.modulus_raising import raise_modulus
from fhejax.ckks.types import SwitchingKey
from fhejax.ring.randomness.samplers import ternary_fixed_weight

WEIGHT = 8


@pytest.fixture(scope="module")
def keys(insecure_complex) -> tuple[SwitchingKey, SwitchingKey]:
    return encapsulation_keys(ckks.random_key(), insecure_complex.secret, WEIGHT)


def test_the_sparse_secret_is_in_no_key_above_the_lowest_level(insecure_complex, keys):
    """The key under the sparse secret has q_0 and one prime; Lattigo 6.1.0 had one with all primes."""
    params = insecure_complex.params
    down, up = keys
    assert down.params == encapsulation_parameters(params)
    assert down.params.moduli == params.level_moduli(0)
    assert len(down.params.special) == 1
    assert down.data.shape[2] == len(params.levels[0]) + 1
    assert up.params == params
    assert up.level == params.depth


def test_the_weight_of_the_secret():
    drawn = ternary_fixed_weight(ckks.random_key(), (), 256, WEIGHT)
    assert int(np.abs(np.asarray(drawn)).sum()) == WEIGHT


def coefficients(values: np.ndarray, params: ckks.Parameters) -> np.ndarray:
    """Of the polynomials with these values in their slots, by definition: float64 [..., N]."""
    degree = params.ring.degree
    powers = np.outer(np.arange(degree), params.ring.slot_exponents())
    return (values @ np.exp(-1j * np.pi * (powers.T % (2 * degree)) / degree)).real * 2 / degree


@pytest.mark.nightly
def test_overflows_shrink_and_the_message_stays(insecure_complex, keys):
    scheme = insecure_complex
    values = scheme.numbers(2)
    x = ckks.drop_level(scheme.encrypt(values), 0)
    capsule = encapsulate(keys[0], x)
    raised = decapsulate(keys[1], raise_modulus(capsule, hamming_weight=WEIGHT))
    assert raised.level == scheme.params.depth
    numbers = scheme.decrypt(raised)  # over q_0
    ratio = float(raised.scale / x.scale)
    phases = coefficients(numbers, scheme.params)
    message = coefficients(values, scheme.params)
    overflow = np.round(phases)
    assert np.abs(overflow).max() <= (WEIGHT + 1) / 2
    assert abs(np.std(overflow) / math.sqrt((WEIGHT + 1) / 12) - 1) < 0.25
    assert np.abs((phases - overflow) * ratio - message).max() < 2**-10


def test_jit_gives_the_same_bits(insecure_complex, keys):
    x = ckks.drop_level(insecure_complex.encrypt(insecure_complex.numbers()), 0)
    np.testing.assert_array_equal(jax.jit(encapsulate)(keys[0], x).data, encapsulate(keys[0], x).data)


@pytest.mark.nightly
def test_noise_is_predicted():
    params = ckks.insecure_parameters(256, 2, 29, real=False, base_bits=54)
    secret = ckks.secret_key(ckks.random_key(), params)
    down, up = encapsulation_keys(ckks.random_key(), secret, 200)  # as heavy as a dense one
    scheme = Scheme(params, secret, None, None)
    values = scheme.numbers(8)
    x = ckks.drop_level(scheme.encrypt(values), 0)
    whole = decapsulate(up, dataclasses.replace(encapsulate(down, x), level=0))
    estimate = ckks.drop_level(ckks.estimate(params, values), 0)
    predicted = decapsulate(None, encapsulate(None, estimate))
    found = np.sqrt(np.mean((scheme.decrypt(whole) - values).real ** 2))
    expected = np.sqrt(np.mean(predicted.deviation**2))
    assert abs(math.log2(found / expected)) < 0.25


def test_errors_are_sentences(insecure_complex, keys):
    scheme = insecure_complex
    x = scheme.encrypt(scheme.numbers())
    with pytest.raises(ValueError, match="secure at level 0 alone"):
        encapsulate(keys[0], x)
    with pytest.raises(ValueError, match="encapsulation_keys"):
        encapsulate(keys[1], ckks.drop_level(x, 0))
    with pytest.raises(ValueError, match="encapsulation_keys"):
        decapsulate(None, x)
    with pytest.raises(ValueError, match="cryptographic"):
        encapsulation_keys(jax.random.key(0, impl="threefry2x32"), scheme.secret, WEIGHT)
    with pytest.raises(ValueError, match="without key switching"):
        params = ckks.insecure_parameters(64, 1, key_switching=False)
        encapsulation_keys(ckks.random_key(), ckks.secret_key(ckks.random_key(), params), WEIGHT)


def secure() -> ckks.Parameters:
    """Of N = 2^16, 128 bits."""
    return ckks.BootstrappingParameters.for_levels(9).params


class TestSecurity:
    """The pair of sparse secret and modulus is checked, for every set of parameters that is secure."""

    def test_the_modulus_is_small(self):
        params = secure()
        assert encapsulation_parameters(params).modulus_bits <= 121
        check_sparse_security(params, 32)

    def test_a_larger_base_is_refused(self):
        params = secure()
        large = dataclasses.replace(params, levels=params.levels[2:], scales=params.scales[2:])
        with pytest.raises(ckks.SecurityError, match="where at most 121 are secure"):
            check_sparse_security(large, 32)

    @pytest.mark.parametrize("weight", [16, 31, 64, 192])
    def test_other_weights_are_refused(self, weight):
        params = secure()
        with pytest.raises(ckks.SecurityError, match="limits are known for weight 32"):
            check_sparse_security(params, weight)

    def test_smaller_rings_and_higher_security_are_refused(self):
        params = secure()
        with pytest.raises(ckks.SecurityError, match="limits are known"):
            check_sparse_security(ckks.preset("complex-n14-128bit-depth5-scale55"), 32)
        with pytest.raises(ckks.SecurityError, match="limits are known"):
            check_sparse_security(params, 32, 192)

    def test_no_way_leads_around_the_check(self):
        """Neither `dataclasses.replace`, nor another base, nor keys that are made directly."""
        chosen = ckks.BootstrappingParameters.for_levels(9)
        assert chosen.security == 128
        for weight in (8, 64):
            with pytest.raises(ckks.SecurityError, match="limits are known for weight 32"):
                dataclasses.replace(chosen, hamming_weight=weight)
        with pytest.raises(ValueError, match="hamming_weight=True"):
            dataclasses.replace(chosen, hamming_weight=True)
        low = chosen.params
        large = dataclasses.replace(low, levels=low.levels[2:], scales=low.scales[2:])
        with pytest.raises(ckks.SecurityError, match="where at most 121 are secure"):
            dataclasses.replace(chosen, params=large)
        with pytest.raises(ckks.SecurityError, match="limits are known at 128 bits"):
            ckks.BootstrappingParameters.for_levels(1, security=192)
        secret = ckks.SecretKey(np.zeros(2**16, np.int8), np.zeros(4, np.uint32), low)
        with pytest.raises(ckks.SecurityError, match="limits are known for weight 32"):
            encapsulation_keys(ckks.random_key(), secret, 8)

    def test_a_sparse_secret_that_is_not_secure_takes_the_argument_and_is_named(self):
        chosen = ckks.BootstrappingParameters.for_levels(
            9, insecure=True, options=BootstrappingOptions(hamming_weight=8)
        )
        assert chosen.params.security == 128
        assert chosen.security == 0
        assert "INSECURE with its sparse secret" in repr(chosen)
        assert "INSECURE" not in repr(ckks.BootstrappingParameters.for_levels(9))

    def test_the_level_is_that_of_the_weaker_secret(self):
        chosen = ckks.BootstrappingParameters.for_levels(0)
        assert (chosen.params.security, chosen.security) == (192, 128)
        assert "128-bit with its sparse secret" in repr(chosen)

    def test_the_special_prime_is_above_the_primes_of_level_0(self):
        for options in (
            {},
            {"scale_bits": 55},
            {"scale_bits": 29},
            {"options": BootstrappingOptions(base_bits=90)},
        ):
            params = encapsulation_parameters(ckks.BootstrappingParameters.for_levels(6, **options).params)
            assert max(params.moduli) < params.special[0]

    def test_insecure_parameters_say_so_themselves(self, insecure_complex):
        check_sparse_security(insecure_complex.params, 3)
        assert "INSECURE" in repr(insecure_complex.params)


def test_no_secret_can_be_read_from_the_keys():
    assert not hasattr(encapsulation, "SparseSecret")
    fields = {field.name for field in dataclasses.fields(SwitchingKey)}
    assert fields == {"data", "seed", "key_id", "params", "level"}
