"""Encoding against evaluation at the roots, and round trips to the last bits."""

import cmath

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import Parameters, Plaintext, Scale
from fhejax.ring import inverse_ntt
from fhejax.ring.residues import residues_to_float


def coefficients(plaintext: Plaintext) -> np.ndarray:
    moduli = plaintext.params.level_moduli(plaintext.level)
    data = inverse_ntt(plaintext.data, plaintext.params.ring, moduli)
    return np.asarray(residues_to_float(data, moduli))


def ambient(f: np.ndarray, real: bool) -> list[float]:
    return [*f, 0.0, *(-c for c in f[:0:-1])] if real else list(f)


def at_root(f: list[float], exponent: int) -> complex:
    return sum(c * cmath.exp(1j * cmath.pi * exponent * i / len(f)) for i, c in enumerate(f))


@pytest.mark.parametrize("real", [True, False])
def test_slots_are_values_at_powers_of_five(real):
    params = ckks.insecure_parameters(16, 1, 40, real=real)
    generator = np.random.default_rng(1)
    values = generator.uniform(-1, 1, params.slots)
    if not real:
        values = values + 1j * generator.uniform(-1, 1, params.slots)
    plaintext = ckks.encode(params, values)
    f = ambient(coefficients(plaintext), real)
    for slot in range(params.slots):
        value = at_root(f, pow(5, slot, 2 * len(f))) / 2.0**40
        assert abs(value - values[slot]) < 2.0**-33
    assert abs(np.asarray(ckks.decode(plaintext)) - values).max() < 2.0**-33


def test_rounding_is_to_the_nearest_integer(insecure):
    values = insecure.numbers(50)
    plaintext = ckks.encode(insecure.params, values)
    error = insecure_error(plaintext, values)
    variance = insecure.params.ring.expansion / 12
    if not insecure.params.ring.conjugate_invariant:
        variance /= 2
    assert abs(np.log2(error.real.std() / np.sqrt(variance))) < 0.05


def insecure_error(plaintext: Plaintext, values: np.ndarray) -> np.ndarray:
    return (np.asarray(ckks.decode(plaintext)) - values) * float(plaintext.scale)


@pytest.mark.parametrize("bits", [20, 30, 45, 58])
def test_round_trip_is_as_precise_as_the_scale(insecure, bits):
    values = insecure.numbers(3)
    plaintext = ckks.encode(insecure.params, values, scale=Scale.of(2.0**bits))
    error = abs(np.asarray(ckks.decode(plaintext)) - values).max()
    noise = 8 * np.sqrt(insecure.params.ring.expansion) * 2.0**-bits
    assert error < noise + 2.0**-44
    assert error > noise / 100 or bits > 45


def test_numbers_of_every_type_keep_their_bits(insecure_real):
    """64-bit numbers are not cut to 32 bits where jax_enable_x64 is off."""
    params, scale = insecure_real.params, Scale.of(2.0**50)
    exact = np.array([1 / 3, -2 / 3, 1e-9])
    found = np.asarray(ckks.decode(ckks.encode(params, exact, scale=scale)))[:3]
    assert abs(found - exact).max() < 2.0**-40
    for values in (
        np.array([1, -1, 0]),
        np.array([True, False]),
        np.float32([0.5, 0.25]),
        jnp.array([1.0, 2.0]),
        jnp.array([3, -4]),
    ):
        found = np.asarray(ckks.decode(ckks.encode(params, values, scale=scale)))
        assert abs(found[: len(values)] - np.asarray(values, float)).max() < 2.0**-40
        assert abs(found[len(values) :]).max() < 2.0**-40


def test_batches_levels_and_scales(insecure):
    values = insecure.numbers(2, 3)
    for level in range(insecure.params.depth + 1):
        plaintext = ckks.encode(insecure.params, values, level=level)
        limbs = len(insecure.params.level_moduli(level))
        assert plaintext.data.shape == (2, 3, limbs, insecure.params.ring.degree)
        assert plaintext.scale == insecure.params.scales[level]
        assert abs(np.asarray(ckks.decode(plaintext)) - values).max() < 2e-5
    assert "batch=(2, 3)" in repr(plaintext)


def test_jit_and_vmap_give_the_same_bits(insecure_real):
    params, values = insecure_real.params, np.float32(insecure_real.numbers(3))
    expected = ckks.encode(params, values).data
    encode = jax.jit(lambda v: ckks.encode(params, v))
    assert (encode(values).data == expected).all()
    assert (jax.vmap(encode)(values).data == expected).all()
    plaintext = ckks.encode(params, values)
    assert (jax.jit(jax.vmap(ckks.decode))(plaintext) == ckks.decode(plaintext)).all()


def test_round_trip_at_secure_parameters():
    for real in (True, False):
        params = Parameters.for_depth(1, slots=2048, real=real)
        generator = np.random.default_rng(2)
        values = generator.uniform(-1, 1, params.slots)
        if not real:
            values = values + 1j * generator.uniform(-1, 1, params.slots)
        error = insecure_error(ckks.encode(params, values), values).real
        share = 1 if real else 0.5
        predicted = np.sqrt(params.ring.expansion * share / 12)
        assert abs(np.log2(error.std() / predicted)) < 0.1


def test_what_cannot_be_encoded_is_refused(insecure_real, insecure_complex):
    params = insecure_real.params
    with pytest.raises(ValueError, match=r"at most 256 values"):
        ckks.encode(params, np.zeros(257))
    with pytest.raises(ValueError, match=r"at most 256 values"):
        ckks.encode(params, np.float64(1.0))
    with pytest.raises(ValueError, match="slots are real"):
        ckks.encode(params, np.zeros(4, complex))
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="NaN or infinite"):
            ckks.encode(params, np.array([0.0, bad]))
    with pytest.raises(ValueError, match="NaN or infinite"):
        ckks.encode(insecure_complex.params, np.array([complex(0, np.nan)]))
    for level in (-1, 5):
        with pytest.raises(ValueError, match=f"level {level} was asked for"):
            ckks.encode(params, np.zeros(4), level=level)


def test_values_too_large_for_the_modulus_are_refused(insecure_real):
    """They would wrap around and come back as others."""
    params = insecure_real.params
    limit = params.level_moduli(0)[0] / 2 / float(params.scales[0])
    for sign in (1, -1):
        fits = np.full(params.slots, sign * limit * 0.999)
        found = np.asarray(ckks.decode(ckks.encode(params, fits, level=0)))
        assert abs(found - fits).max() < 1e-3
        with pytest.raises(ValueError, match=r"mean magnitude .* which holds at most"):
            ckks.encode(params, np.full(params.slots, sign * limit * 1.001), level=0)
    with pytest.raises(ValueError, match="smaller scale"):
        ckks.encode(params, np.full(params.slots, 1e9), scale=Scale.of(2.0**58))
