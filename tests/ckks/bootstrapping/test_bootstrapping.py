"""Bootstrapping in a small insecure ring; parameters of secure ones.

All ciphertexts of all tests have the same parameters, for compiling their kernels takes nearly all the time:
slots, secrets and polynomials differ, and a shorter polynomial leaves its levels to an arcsine.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.bootstrapping_cases import Case, bad_cases, make_case, similar_cases
from benchmarks.bootstrapping_sweep import judge, observe
from fhejax import ckks
from fhejax.ckks import BootstrappingParameters, Ciphertext, SecretKey
from fhejax.ckks.bootstrapping import (
    BootstrappingKeys,
    BootstrappingOptions,
    bootstrap_iteratively,
    bootstrap_pair,
    bootstrapping_circuit,
    bootstrapping_keys,
)

SHARED = {"degree": 32, "ratio_bits": 10, "coefficients_to_slots": 2, "slots_to_coefficients": 1}
OPTIONS = SHARED | {"hamming_weight": 4, "polynomial_degree": 15, "double_angles": 2, "insecure": True}
ARCSINE = OPTIONS | {
    "hamming_weight": 2,
    "ratio_bits": 8,
    "polynomial_degree": 15,
    "double_angles": 0,
    "arcsine_degree": 3,
}
BATCH = 2  # one shape for all tests


@dataclasses.dataclass(frozen=True)
class Setting:
    """Keys, and what the tests do with them."""

    secret: SecretKey
    keys: BootstrappingKeys

    @property
    def parameters(self) -> BootstrappingParameters:
        return self.keys.circuit.parameters

    def numbers(self, seed: int = 0) -> np.ndarray:
        """A batch with both parts in (-1, 1), of period `slots`."""
        parts = np.random.default_rng(seed).uniform(-1, 1, (2, BATCH, self.parameters.slots))
        gap = self.parameters.params.slots // self.parameters.slots
        return np.tile(parts[0] + 1j * parts[1], gap)

    def encrypt(self, values: np.ndarray, level: int | None = None) -> Ciphertext:
        level = self.parameters.input_level if level is None else level
        plaintext = ckks.encode(self.parameters.params, values, level=level)
        return ckks.encrypt(ckks.random_key(), self.secret, plaintext)

    def decrypt(self, ciphertext: Ciphertext) -> np.ndarray:
        return np.asarray(ckks.decode(ckks.decrypt(self.secret, ciphertext)))

    def estimate(self, values: np.ndarray) -> ckks.NoiseEstimate:
        return ckks.estimate(self.parameters.params, values, level=self.parameters.input_level)


def make_setting(parameters: BootstrappingParameters) -> Setting:
    circuit = bootstrapping_circuit(parameters)
    secret = ckks.secret_key(ckks.random_key(), parameters.params)
    return Setting(secret, bootstrapping_keys(ckks.random_key(), secret, circuit))


@functools.cache
def setting(log_slots: int = 4, arcsine: bool = False, minimum_keys: bool = False) -> Setting:
    options = {"slots": 2**log_slots, "minimum_keys": minimum_keys, **(ARCSINE if arcsine else OPTIONS)}
    return make_setting(make_case(1, options, 0).parameters)


def sweep_cases() -> list[Case]:
    params = make_case(1, OPTIONS, 0).parameters.params
    return similar_cases(np.random.default_rng(3), 1, SHARED, 2, seed=1, params=params)


def sine_bits(parameters: BootstrappingParameters) -> float:
    """-log2 of the error of the sine for a message of 1."""
    return -math.log2((math.tau / 2**parameters.ratio_bits) ** 2 / 6)


@pytest.mark.parametrize("log_slots", [pytest.param(4, marks=pytest.mark.nightly), 2])
def test_levels_come_back(log_slots):
    """Full slots, and a message that repeats itself."""
    here = setting(log_slots=log_slots)
    values = here.numbers()
    found = ckks.bootstrap(here.keys, here.encrypt(values))
    assert found.level == here.parameters.output_level
    assert found.batch == (2,)
    assert found.level == here.parameters.input_level + 1
    assert found.scale == here.parameters.params.scales[found.level]
    precision = ckks.precision(here.decrypt(found), values)
    assert precision.mean > sine_bits(here.parameters)
    assert precision.minimum > sine_bits(here.parameters) - 0.7


def test_minimum_keys_are_fewer():
    few, many = setting(minimum_keys=True), setting()
    assert few.parameters.params == many.parameters.params
    arrays = [leaf.nbytes for leaf in jax.tree.leaves((few.keys.evaluation, few.keys.sparse_to_dense))]
    assert abs(sum(arrays) / few.parameters.key_bytes.memory - 1) < 0.01
    assert len(few.keys.evaluation.rotations) < len(many.keys.evaluation.rotations)


@pytest.mark.parametrize("minimum_keys", [False, True])
def test_noise_is_predicted(minimum_keys):
    here = setting(minimum_keys=minimum_keys)
    values = here.numbers()
    found = ckks.bootstrap(here.keys, here.encrypt(values))
    predicted = ckks.bootstrap(BootstrappingKeys(here.keys.circuit), here.estimate(values))
    assert (predicted.level, predicted.scale) == (found.level, found.scale)
    errors = [ckks.precision(x, values) for x in (predicted.values, here.decrypt(found))]
    assert abs(errors[0].mean - errors[1].mean) < 0.2
    # By the median: a few numbers had a rare overflow, of larger error, which the estimate drew elsewhere.
    left = ckks.precision(here.decrypt(found), predicted.values)
    assert abs(left.median + math.log2(0.6745) - predicted.precision_bits) < 1


def test_constant_messages():
    """All slots 1, or one slot alone: errors do not depend on what the other slots hold."""
    here = setting()
    slots = here.parameters.slots
    for values in (np.stack([np.ones(slots) * (1 + 1j), np.eye(slots)[3] * 1j]), np.zeros((2, slots))):
        found = ckks.bootstrap(here.keys, here.encrypt(values))
        assert ckks.precision(here.decrypt(found), values).minimum > sine_bits(here.parameters) - 1


def test_a_chain_of_squarings():
    here = setting()
    values = here.numbers() * 0.7
    x = here.encrypt(values)
    for _ in range(4):
        x = ckks.bootstrap(here.keys, x)
        x = ckks.square(here.keys.evaluation, x)
        values = values * values
        assert x.level == here.parameters.input_level
        assert ckks.precision(here.decrypt(x), values).mean > sine_bits(here.parameters) - 3


def run_chain(keys, x, z, constant, count: int) -> Iterator:
    """What each bootstrap gives, and should give; z^2 + c between."""
    for _ in range(count):
        x = ckks.bootstrap(keys, x)
        yield x, z
        square = ckks.square(keys.evaluation, x)
        x = ckks.add(square, ckks.encode(x.params, constant, level=square.level))
        z = z * z + constant


def total_bits(predicted: ckks.NoiseEstimate, values: np.ndarray) -> float:
    """-log2 of the root mean square of the predicted error: of the polynomial, and of noise."""
    polynomial = ckks.precision(predicted.values, values).mean
    return -math.log2(math.hypot(2.0**-polynomial, 2.0**-predicted.precision_bits))


@pytest.mark.nightly
def test_a_hundred_bootstraps_stay_within_the_prediction():
    """|z| <= 1/2 and |c| <= 1/4, so that all later z are as small, and errors reach a steady size."""
    here = setting(arcsine=True)
    generator = np.random.default_rng(0)
    z, constant = (
        radius * np.exp(2j * np.pi * generator.uniform(size=(BATCH, here.parameters.slots)))
        for radius in (0.5, 0.25)
    )
    blank = BootstrappingKeys(here.keys.circuit)
    predicted = [total_bits(*each) for each in run_chain(blank, here.estimate(z), z, constant, 5)]
    chain = run_chain(here.keys, here.encrypt(z), z, constant, 100)
    measured = [ckks.precision(here.decrypt(x), values).mean for x, values in chain]
    np.testing.assert_allclose(measured[:5], predicted, atol=0.75)
    assert min(measured) > min(predicted) - 0.75
    assert max(measured) < max(predicted) + 1.5  # z and with it the error of the arcsine shrink a little


def test_an_arcsine_takes_the_error_of_the_sine_away():
    here = setting(arcsine=True)
    values = here.numbers()
    found = ckks.bootstrap(here.keys, here.encrypt(values))
    precision = ckks.precision(here.decrypt(found), values)
    assert precision.minimum > sine_bits(here.parameters) + 10
    assert precision.minimum > here.parameters.reduction_precision_bits[1] - 0.5
    predicted = ckks.bootstrap(BootstrappingKeys(here.keys.circuit), here.estimate(values))
    assert (predicted.level, predicted.scale) == (found.level, found.scale)
    assert abs(ckks.precision(predicted.values, values).mean - precision.mean) < 1
    assert "an arcsine of degree 3" in repr(here.parameters)


@pytest.mark.parametrize("case", sweep_cases(), ids=lambda case: str(case.seed))
def test_combinations_are_as_predicted(case):
    """A few of `benchmarks.bootstrapping_sweep`, with the kernels of the other tests."""
    assert case.parameters.params == setting().parameters.params
    assert judge(case, observe(case, BATCH))["wrong"] == []


@pytest.mark.parametrize("case", bad_cases(), ids=lambda case: case.name)
def test_bad_combinations_are_refused(case):
    with pytest.raises(ValueError, match=r"(?s)^[a-z0-9].{40,}\.$"):
        case.parameters  # noqa: B018


def test_two_real_ciphertexts_in_one():
    here = setting()
    first, second = here.numbers().real, here.numbers(1).real
    found = bootstrap_pair(here.keys, here.encrypt(first), here.encrypt(second))
    for values, x in zip((first, second), found, strict=True):
        assert x.level == here.parameters.output_level
        precision = ckks.precision(here.decrypt(x), values)
        assert precision.mean > sine_bits(here.parameters)


def test_iterations_gain_precision():
    here = setting()
    values = here.numbers()
    x = here.encrypt(values)
    bits = [
        ckks.precision(here.decrypt(bootstrap_iteratively(here.keys, x, iterations=n)), values).mean
        for n in (1, 2)
    ]
    assert bits[0] == ckks.precision(here.decrypt(ckks.bootstrap(here.keys, x)), values).mean
    # Down to the noise of the ciphertext itself.
    limit = ckks.precision(here.decrypt(x), values).mean
    assert bits[1] > min(bits[0] + 8, limit - 2)
    with pytest.raises(ValueError, match="both are 1 or more"):
        bootstrap_iteratively(here.keys, x, iterations=0)


def test_higher_levels_are_brought_down():
    here = setting()
    values = here.numbers()
    x = here.encrypt(values, level=here.parameters.output_level)
    found = ckks.bootstrap(here.keys, x)
    assert ckks.precision(here.decrypt(found), values).mean > sine_bits(here.parameters)


@pytest.mark.nightly
def test_jit_gives_the_same_bits():
    here = setting(log_slots=2)
    x = here.encrypt(here.numbers())
    eager, jitted = ckks.bootstrap(here.keys, x), jax.jit(ckks.bootstrap)(here.keys, x)
    np.testing.assert_array_equal(eager.data, jitted.data)


def test_the_manifest_is_what_a_bootstrap_asks_for():
    for log_slots in (4, 2):
        here = setting(log_slots=log_slots)
        blank = BootstrappingKeys(here.keys.circuit)

        def circuit(recorder, x, blank=blank):
            return ckks.bootstrap(dataclasses.replace(blank, evaluation=recorder), x)

        assert ckks.keys.required_keys(circuit, here.estimate(here.numbers())) == here.parameters.manifest


def test_keys_weigh_what_was_announced():
    here = setting()
    arrays = [leaf.nbytes for leaf in jax.tree.leaves((here.keys.evaluation, here.keys.sparse_to_dense))]
    assert abs(sum(arrays) / here.parameters.key_bytes.memory - 1) < 0.01


def test_errors_are_sentences():
    here = setting()
    x = here.encrypt(here.numbers())
    with pytest.raises(ValueError, match="level 1 or higher"):
        ckks.bootstrap(here.keys, ckks.drop_level(x, 0))
    with pytest.raises(ValueError, match="rescale it first"):
        ckks.bootstrap(here.keys, x.replace(scale=x.scale * 4))
    with pytest.raises(ValueError, match="components"):
        ckks.bootstrap(here.keys, ckks.evaluation.square_tensor(x))
    with pytest.raises(ValueError, match="without the keys evaluation, dense_to_sparse, sparse_to_dense"):
        ckks.bootstrap(BootstrappingKeys(here.keys.circuit), x)
    evaluation = dataclasses.replace(here.keys.evaluation, rotations={}, relinearisation=None)
    with pytest.raises(ValueError, match="more evaluation keys: relinearisation, X"):
        ckks.bootstrap(dataclasses.replace(here.keys, evaluation=evaluation), x)
    other = setting(log_slots=2)
    with pytest.raises(ValueError, match="different secret keys"):
        ckks.bootstrap(here.keys, x.replace(key_id=jnp.zeros(4, jnp.uint32)))
    secret = ckks.secret_key(ckks.random_key(), ckks.insecure_parameters(64, 1))
    with pytest.raises(ValueError, match="a secret for"):
        bootstrapping_keys(ckks.random_key(), secret, other.keys.circuit)


class TestParameters:
    """Secure parameters, without keys."""

    @pytest.mark.parametrize("levels", [9, 13])
    def test_a_secure_ring(self, levels):
        chosen = BootstrappingParameters.for_levels(levels)
        assert chosen.params.modulus_bits <= 1746
        assert chosen.params.security == 128
        assert chosen.levels_left == levels
        assert chosen.failure_probability_bits >= 128
        assert abs(chosen.failure_probability_bits - 138.7) < 0.1
        assert chosen.reduction_precision_bits[1] > 24
        sizes = {round(chosen.params.scales[level].bits, 1) for level in range(3, chosen.output_level + 1)}
        assert sizes <= {39.6, 39.7}

    def test_the_repr_says_it(self):
        text = repr(BootstrappingParameters.for_levels(13))
        for part in ("13 levels left", "failure probability 2**-138.7", "128-bit security", "MB in memory"):
            assert part in text

    @pytest.mark.parametrize("scale_bits", [28, 35, 40, 45, 55])
    @pytest.mark.parametrize("levels", [0, 1, 2, 3, 4, 5])
    def test_every_prime_is_there(self, scale_bits, levels):
        """Levels of every kind: runs of primes, level 0 inside of the highest, scales as they should be."""
        chosen = BootstrappingParameters.for_levels(levels, degree=1024, scale_bits=scale_bits, insecure=True)
        params = chosen.params
        assert chosen.levels_left == levels
        assert set(params.levels[0]) <= set(params.levels[-1])
        assert len(set(params.moduli + params.special)) == len(params.moduli + params.special)
        assert max(params.levels[-1]) == len(params.moduli) - 1
        for level in range(1, chosen.output_level + 1):
            squared = params.scales[level] * params.scales[level] / params.rescale_factor(level, level - 1)
            assert squared.is_close(params.scales[level - 1])
        dropped = [math.log2(params.rescale_factor(i, i - 1)) for i in range(1, params.depth + 1)]
        assert min(dropped[chosen.output_level :]) > 45

    @pytest.mark.parametrize("slots", [2, 64, 512])
    @pytest.mark.parametrize("budget", [1, 2, 4, 9])
    def test_every_budget(self, slots, budget):
        options = BootstrappingOptions(coefficients_to_slots=budget, slots_to_coefficients=budget)
        chosen = BootstrappingParameters.for_levels(
            2, degree=1024, slots=slots, insecure=True, options=options
        )
        assert chosen.levels_left == 2
        assert len(chosen.coefficients_to_slots) == min(budget, slots.bit_length() - 1)

    def test_what_cannot_be_had_is_refused(self):
        make = BootstrappingParameters.for_levels
        with pytest.raises(ckks.SecurityError, match="at most 1746 are secure"):
            make(30)
        with pytest.raises(ckks.SecurityError, match="at most 430 are secure"):
            make(1, degree=2**14)
        with pytest.raises(ValueError, match="takes K = 16"):
            make(9, options=BootstrappingOptions(bound=12))
        with pytest.raises(ValueError, match=r"slots=1000 .* power of two from 1 to 512"):
            make(1, degree=1024, slots=1000, insecure=True)
        with pytest.raises(ValueError, match=r"levels=-1 .* from 0"):
            make(-1)
        with pytest.raises(TypeError, match="it is a BootstrappingOptions: give Boot"):
            make(9, options={"bound": 16})
        with pytest.raises(ckks.SecurityError, match="limits are known for weight 32"):
            make(9, options=BootstrappingOptions(hamming_weight=16))
