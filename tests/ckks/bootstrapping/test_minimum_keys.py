"""Two keys for each matrix: the same products, with walks that are short, and noise that is predicted."""

import dataclasses
import functools
import itertools
import math

import jax
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.bootstrapping import BootstrappingKeys, BootstrappingOptions, bootstrapping_circuit
from fhejax.ckks.bootstrapping.fourier_factors import (
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
)
from fhejax.ckks.bootstrapping.homomorphic_dft import (
    FourierFactor,
    apply_factors,
    coefficients_to_slots_matrices,
    factor_rotations,
    slots_to_coefficients_matrices,
)
from fhejax.ckks.bootstrapping.minimum_keys import counted_from_zero, split_walks
from fhejax.ckks.parameters.scale import Scale

MAKERS = {"down": slots_to_coefficients_factors, "up": coefficients_to_slots_factors}
TRANSFORMS = {"down": slots_to_coefficients_matrices, "up": coefficients_to_slots_matrices}
OPTIONS = BootstrappingOptions(
    hamming_weight=4, ratio_bits=10, double_angles=1, coefficients_to_slots=2, slots_to_coefficients=1
)


def dense(diagonals: dict[int, np.ndarray]) -> np.ndarray:
    slots = len(next(iter(diagonals.values())))
    matrix, rows = np.zeros((slots, slots), complex), np.arange(slots)
    for distance, diagonal in diagonals.items():
        matrix[rows, (rows + distance) % slots] += diagonal
    return matrix


def product(factors: list[dict[int, np.ndarray]]) -> np.ndarray:
    """The first applied first."""
    return functools.reduce(lambda right, left: left @ right, map(dense, factors))


def compositions(total: int) -> list[tuple[int, ...]]:
    """Every way to write a number as a sum."""
    cuts = itertools.product((False, True), repeat=max(total - 1, 0))
    return [tuple(len(run) for run in _runs(cut)) if total else () for cut in cuts]


def _runs(cuts: tuple[bool, ...]) -> list[list[int]]:
    runs = [[0]]
    for number, cut in enumerate(cuts, 1):
        runs.append([number]) if cut else runs[-1].append(number)
    return runs


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("log_slots", range(7))
def test_the_product_stays_and_distances_are_not_negative(maker, log_slots):
    slots = 2**log_slots
    for stages in compositions(log_slots):
        before = MAKERS[maker](slots, stages)
        after = counted_from_zero(before)
        np.testing.assert_allclose(product(after), product(before), atol=1e-12)
        outer = after[-1] if maker == "up" else after[0]
        for diagonals in after:
            line = sorted(diagonals)
            steps = set(np.diff(line))
            assert len(steps) <= 1
            # At the end with unit 1 the walk starts one step away from 0: that costs no key either.
            assert line[0] == 0 or (diagonals is outer and line[0] == 1 and steps == {1})


@pytest.mark.parametrize(
    "distances",
    [range(0, 64, 4), range(31), range(1, 64), range(8, 16 * 8, 8), [0], [0, 32], [1, 2, 3], [0, 2, 4]],
)
def test_walks_are_the_shortest(distances):
    unit, stride, split = split_walks(tuple(distances))
    assert set(split) == set(distances)
    assert all(giant + baby == d for d, (giant, baby) in split.items())
    giants, babies = ({step[i] for step in split.values()} for i in (0, 1))
    assert giants == set(range(0, max(giants) + 1, stride))
    assert all(baby % unit == 0 and baby < stride for baby in babies)
    length = max(giants) // stride + max(babies) // unit
    last = max(distances) // unit
    shortest = min(b - 1 + last // b for b in range(1, last + 2))
    assert length == shortest


def test_keys_of_a_large_ring():
    """Two for each matrix, and of slots to coefficients nearly all are among those."""
    up = factor_rotations(coefficients_to_slots_factors(2**15, (4, 4, 4, 3)), 2**15, True)
    down = factor_rotations(slots_to_coefficients_factors(2**15, (5, 5, 5)), 2**15, True)
    assert up == [(2048, 8192), (128, 512), (8, 32), (1, 4)]
    assert down == [(1, 8), (32, 224), (1024, 4096)]
    hoisted = factor_rotations(coefficients_to_slots_factors(2**15, (4, 4, 4, 3)), 2**15)
    assert sum(map(len, hoisted)) == 23


@pytest.fixture(scope="module")
def params() -> ckks.Parameters:
    return ckks.insecure_parameters(128, 3, 29, real=False, digit_size=1)


@pytest.fixture(scope="module")
def secret(params) -> ckks.SecretKey:
    return ckks.secret_key(ckks.random_key(), params)


def scheme_for(secret: ckks.SecretKey, factors: tuple[FourierFactor, ...]) -> Scheme:
    """With the keys that the factors name, and no others."""
    rotations = {step for factor in factors for step in factor.rotations}
    keys = ckks.evaluation_keys(ckks.random_key(), secret, rotations=sorted(rotations))
    return Scheme(secret.params, secret, None, keys)


@pytest.mark.parametrize(
    ("slots", "stages"),
    [
        (64, (3, 3)),
        *(pytest.param(*case, marks=pytest.mark.nightly) for case in ((64, (2, 2, 2)), (64, (1, 5)))),
        (32, (3, 2)),
        (2, (1,)),
    ],
)
@pytest.mark.parametrize("direction", TRANSFORMS)
def test_two_keys_are_enough(params, secret, direction, slots, stages):
    """Full slots, and some of them repeated: the same numbers as from the dense matrices."""
    factors = TRANSFORMS[direction](params, slots, stages, 3, Scale.of(1), True)
    assert all(len(factor.rotations) <= 2 for factor in factors)
    scheme = scheme_for(secret, factors)
    values = scheme.numbers()[:slots]
    found = apply_factors(scheme.keys, scheme.encrypt(np.tile(values, params.slots // slots)), factors)
    expected = product(MAKERS[direction](slots, stages)) @ values
    assert found.level == 3 - len(stages)
    error = np.abs(scheme.decrypt(found) - np.tile(expected, params.slots // slots)).max()
    assert error < 2**-6 * np.abs(expected).max()


def root_mean_square(error: np.ndarray) -> float:
    return math.sqrt(np.mean(np.abs(error) ** 2) / 2)


@pytest.mark.parametrize(("stages", "missing"), [((6,), 0.7), ((3, 3), 0.3)])
def test_noise_of_a_walk_is_predicted(params, secret, stages, missing):
    """Baby step k has the noise of k key switches, which dominates here: it would be missed."""
    factors = slots_to_coefficients_matrices(params, params.slots, stages, 3, Scale.of(1), True)
    scheme = scheme_for(secret, factors)
    values = scheme.numbers()
    predicted = apply_factors(None, ckks.estimate(params, values), factors)
    found = [apply_factors(scheme.keys, scheme.encrypt(values), factors) for _ in range(16)]
    measured = root_mean_square(np.stack([scheme.decrypt(x) - predicted.values for x in found]))

    def missing_bits(estimate: ckks.NoiseEstimate) -> float:
        return math.log2(measured / math.sqrt(np.mean(estimate.deviation**2)))

    assert abs(missing_bits(predicted)) < 0.2
    hoisted = [dataclasses.replace(factor, unit=0) for factor in factors]
    assert missing_bits(apply_factors(None, ckks.estimate(params, values), hoisted)) > missing


@pytest.mark.nightly
def test_jit_and_vmap_give_the_same_bits():
    params = ckks.insecure_parameters(16, 1, 29, real=False)
    factors = slots_to_coefficients_matrices(params, 8, (3,), 1, Scale.of(1), True)
    assert len(factors[0].transform.giants) > 1 < len(factors[0].transform.babies)
    scheme = scheme_for(ckks.secret_key(ckks.random_key(), params), factors)
    x = scheme.encrypt(scheme.numbers(2))
    eager = apply_factors(scheme.keys, x, factors).data
    np.testing.assert_array_equal(jax.jit(apply_factors)(scheme.keys, x, factors).data, eager)
    mapped = jax.vmap(lambda data: apply_factors(scheme.keys, x.replace(data=data), factors).data)(x.data)
    np.testing.assert_array_equal(mapped, eager)


def test_missing_keys_are_named(params, secret):
    factors = slots_to_coefficients_matrices(params, params.slots, (3, 3), 3, Scale.of(1), True)
    scheme = scheme_for(secret, factors[:1])
    with pytest.raises(ValueError, match="needs the keys of 2 more rotations, by 8, 16"):
        apply_factors(scheme.keys, scheme.encrypt(scheme.numbers()), factors)


class TestBootstrapping:
    """The option of the parameters; `test_bootstrapping` has a bootstrap with it."""

    @staticmethod
    @functools.cache
    def parameters(log_slots: int = 8, minimum_keys: bool = True) -> BootstrappingParameters:
        options = dataclasses.replace(OPTIONS, minimum_keys=minimum_keys)
        return BootstrappingParameters.for_levels(
            1, degree=2**9, slots=2**log_slots, insecure=True, options=options
        )

    @pytest.mark.parametrize("log_slots", [8, 5])
    def test_the_manifest_is_what_a_bootstrap_asks_for(self, log_slots):
        chosen = self.parameters(log_slots)
        blank = BootstrappingKeys(bootstrapping_circuit(chosen))

        def circuit(recorder, x):
            return ckks.bootstrap(dataclasses.replace(blank, evaluation=recorder), x)

        values = np.ones(chosen.params.slots)
        estimate = ckks.estimate(chosen.params, values, level=chosen.input_level)
        assert ckks.keys.required_keys(circuit, estimate) == chosen.manifest

    def test_fewer_bytes_are_announced(self):
        few, many = self.parameters(), self.parameters(minimum_keys=False)
        assert few.params == many.params
        assert few != many
        assert few.key_bytes.memory < 0.8 * many.key_bytes.memory
        assert "minimum keys" in repr(few)
        assert "minimum" not in repr(many)
