"""The Fourier factors against the dense matrix in NumPy, and homomorphically against the factors."""

import dataclasses

import jax
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks.bootstrapping.fourier_factors import (
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
    split_stages,
)
from fhejax.ckks.bootstrapping.homomorphic_dft import (
    apply_factors,
    coefficients_to_slots_matrices,
    rotations_of,
    slots_to_coefficients_matrices,
    split_chain,
)
from fhejax.ckks.parameters.scale import Scale
from fhejax.ring import inverse_ntt
from fhejax.ring.residues import residues_to_float

SLOTS = 32


def dense(diagonals: dict[int, np.ndarray]) -> np.ndarray:
    slots = len(next(iter(diagonals.values())))
    matrix, rows = np.zeros((slots, slots), complex), np.arange(slots)
    for distance, diagonal in diagonals.items():
        matrix[rows, (rows + distance) % slots] += diagonal
    return matrix


def embedding(slots: int) -> np.ndarray:
    """U R: columns in bit-reversed order, by definition."""
    exponents = [pow(5, j, 4 * slots) for j in range(slots)]
    matrix = np.exp(2j * np.pi / (4 * slots) * np.outer(exponents, np.arange(slots)))
    bits = slots.bit_length() - 1
    order = [int(format(k, f"0{bits}b")[::-1], 2) if bits else 0 for k in range(slots)]
    return matrix[:, order]


@pytest.mark.parametrize("stages", [(5,), (3, 2), (2, 3), (2, 2, 1), (1, 1, 1, 1, 1), (1, 4)])
def test_factors_against_the_dense_matrix(stages):
    down = np.eye(SLOTS)
    for factor in slots_to_coefficients_factors(SLOTS, stages):
        down = dense(factor) @ down
    up = np.eye(SLOTS)
    for factor in coefficients_to_slots_factors(SLOTS, stages):
        up = dense(factor) @ up
    np.testing.assert_allclose(down, embedding(SLOTS), atol=1e-12)
    np.testing.assert_allclose(up @ embedding(SLOTS), np.eye(SLOTS), atol=1e-12)


@pytest.mark.parametrize("slots", [1, 2, 4, 256])
@pytest.mark.parametrize("budget", [1, 2, 3, 4, 5, 9])
def test_every_budget(slots, budget):
    """A remainder layer with sparse packing once destroyed messages silently elsewhere."""
    stages = split_stages(slots, budget)
    assert sum(stages) == slots.bit_length() - 1
    values = np.random.default_rng(0).normal(size=slots) + 0j
    result = values
    for factor in slots_to_coefficients_factors(slots, stages if slots > 1 else ()):
        result = dense(factor) @ result
    np.testing.assert_allclose(result, embedding(slots) @ values, atol=1e-9)


def test_diagonals_are_few():
    sizes = [len(f) for f in coefficients_to_slots_factors(2**15, (4, 4, 4, 3))]
    assert sizes == [16, 31, 31, 15]


@pytest.mark.parametrize(
    "distances", [range(-15, 16), range(-7, 8), range(0, 64, 4), [0], [3], [-2, 0, 2], [0, 32]]
)
def test_chains_reach_every_distance(distances):
    stride, split = split_chain(tuple(distances), 64)
    assert {d % 64 for d in distances} == set(split)
    for distance, (giant, baby) in split.items():
        assert (giant + baby - distance) % 64 == 0
        assert giant % max(stride, 1) == 0 or giant == 0
    giants = sorted({giant for giant, _ in split.values()})
    assert giants == [i * stride for i in range(len(giants))]
    assert len(rotations_of(tuple(distances), 64)) <= 2 * int(np.ceil(np.sqrt(len(distances)))) + 1


def test_stages_must_add_up():
    with pytest.raises(ValueError, match="add up to 5"):
        slots_to_coefficients_factors(SLOTS, (2, 2))


@pytest.fixture(scope="module")
def scheme() -> Scheme:
    params = ckks.insecure_parameters(4 * SLOTS, 3, 29, real=False, digit_size=4)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, rotations=range(1, params.slots))
    return Scheme(params, secret, None, keys)


@pytest.mark.parametrize(("slots", "stages"), [(SLOTS, (3, 2)), (2 * SLOTS, (3, 3)), (2 * SLOTS, (2, 4))])
def test_homomorphic_transforms(scheme, slots, stages):
    """Full slots, and half of them repeated."""
    gap = scheme.params.slots // slots
    values = scheme.numbers()[:slots]
    tiled = np.tile(values, gap)
    down = slots_to_coefficients_matrices(scheme.params, slots, stages, 3, Scale.of(2.0**-2))
    x = apply_factors(scheme.keys, scheme.encrypt(tiled), down)
    assert x.level == 1
    assert x.scale.is_close(scheme.params.scales[3] / 4)
    expected = np.tile(embedding(slots) @ values, gap)
    assert np.abs(scheme.decrypt(x) - expected).max() < 2**-8 * np.abs(expected).max()
    up = coefficients_to_slots_matrices(scheme.params, slots, stages, 3, Scale.of(1))
    y = apply_factors(scheme.keys, scheme.encrypt(expected / slots), up)
    assert np.abs(scheme.decrypt(y) - tiled / slots).max() < 2**-9 / slots


def test_coefficients_hold_the_slots(scheme):
    """What slots to coefficients is for: t_k and t_(k+n) are the parts of slot R(k)."""
    slots = scheme.params.slots
    values = scheme.numbers()
    encoded = ckks.encode(scheme.params, embedding(slots) @ values / slots)
    with jax.enable_x64(True):
        moduli = scheme.params.level_moduli(encoded.level)
        found = np.asarray(residues_to_float(inverse_ntt(encoded.data, scheme.params.ring, moduli), moduli))
    found = found / float(encoded.scale) * slots
    bits = slots.bit_length() - 1
    order = [int(format(k, f"0{bits}b")[::-1], 2) for k in range(slots)]
    np.testing.assert_allclose(found[:slots], values[order].real, atol=1e-5)
    np.testing.assert_allclose(found[slots:], values[order].imag, atol=1e-5)


def test_noise_is_predicted(scheme):
    values = scheme.numbers()
    down = slots_to_coefficients_matrices(scheme.params, scheme.params.slots, (3, 3), 3, Scale.of(1))
    found = apply_factors(scheme.keys, scheme.encrypt(values), down)
    predicted = apply_factors(None, ckks.estimate(scheme.params, values), down)
    error = scheme.decrypt(found) - predicted.values
    assert abs(np.log2(np.sqrt(np.mean(error.real**2) / np.mean(predicted.deviation**2)))) < 0.5


def test_jit_gives_the_same_bits(scheme):
    x = scheme.encrypt(scheme.numbers())
    down = slots_to_coefficients_matrices(scheme.params, 4, (2,), 3, Scale.of(1))
    jitted = jax.jit(apply_factors)(scheme.keys, x, down)
    np.testing.assert_array_equal(jitted.data, apply_factors(scheme.keys, x, down).data)


def test_errors_are_sentences(scheme):
    params = scheme.params
    down = slots_to_coefficients_matrices(params, params.slots, (3, 3), 3, Scale.of(1))
    x = scheme.encrypt(scheme.numbers())
    with pytest.raises(ValueError, match="takes as many levels"):
        slots_to_coefficients_matrices(params, params.slots, (3, 3), 1, Scale.of(1))
    with pytest.raises(ValueError, match="at its own level"):
        apply_factors(scheme.keys, ckks.drop_level(x, 2), down)
    fewer = dataclasses.replace(scheme.keys, rotations={})
    with pytest.raises(ValueError, match="more rotations, by "):
        apply_factors(fewer, x, down)
