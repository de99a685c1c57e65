"""Encoding against evaluation at the roots, and round trips to the last bits."""

import cmath
import dataclasses
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks import Parameters, Plaintext
from fhejax.ckks.parameters import Scale
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
        np.float16([0.5, -0.25]),
        jnp.array([0.5, -3.0], jnp.bfloat16),
        np.asarray(jnp.array([0.5, -3.0], jnp.bfloat16)),
        np.longdouble([0.5, 1.5]),
        np.uint8([0, 255]),
        [1, 0.5],
        [np.float32(0.5), jnp.float32(2)],
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
        ckks.encode(params, np.full(params.slots, 1e9), scale=Scale.of(2.0**110))


def test_a_vector_fits_where_its_largest_coefficient_does(insecure_real):
    """Random signs spread over all coefficients: a mean beyond the limit, and coefficients far below it."""
    params = insecure_real.params
    limit = params.level_moduli(0)[0] / 2 / float(params.scales[0])
    values = 2 * limit * np.random.default_rng(3).choice([-1, 1], params.slots)
    found = np.asarray(ckks.decode(ckks.encode(params, values, level=0)))
    assert abs(found - values).max() < 1e-3


DEEP = ckks.insecure_parameters(64, 30)  # a modulus of 810 bits


def exact_coefficients(plaintext: Plaintext) -> list[int]:
    """By the Chinese remainder theorem, centred."""
    moduli = plaintext.params.level_moduli(plaintext.level)
    residues = np.asarray(inverse_ntt(plaintext.data, plaintext.params.ring, moduli)).astype(object)
    product = math.prod(moduli)
    factors = [product // q * pow(product // q, -1, q) for q in moduli]
    total = [sum(int(r) * f for r, f in zip(column, factors, strict=True)) % product for column in residues.T]
    return [c - product if 2 * c > product else c for c in total]


@pytest.mark.parametrize("bits", [30, 36, 37, 40, 62, 63, 64, 100, 500, 779])
def test_large_numbers_are_encoded_as_well_as_small_ones(bits):
    """At scale 2**26 they leave 64-bit integers behind from 2**37 on."""
    for sign in (1, -1):
        found = exact_coefficients(ckks.encode(DEEP, np.full(64, sign * 2.0**bits)))
        assert abs(found[0] - sign * 2 ** (bits + 26)) <= 2 ** max(0, bits + 26 - 50)
        assert max(map(abs, found[1:])) <= 2 ** max(0, bits + 26 - 50)
    values = np.random.default_rng(bits).uniform(-1, 1, (2, 64)) * 2.0**bits
    values[1] *= 2.0**-20
    plaintext = ckks.encode(DEEP, values)
    for found, row in zip(np.asarray(ckks.decode(plaintext)), values, strict=True):
        assert abs(found - row).max() < abs(row).max() * 2.0**-45 + 2.0**-20
    encode = jax.jit(lambda v: ckks.encode(DEEP, v).data)
    with jax.enable_x64(True):
        device = jnp.asarray(values)
        assert (encode(device) == plaintext.data).all()
        assert (jax.vmap(encode)(device) == plaintext.data).all()


def test_values_of_which_nothing_is_left_are_refused(insecure):
    params, scale = insecure.params, float(insecure.params.scales[-1])
    smallest = np.full(params.slots, 0.51 / scale)
    assert exact_coefficients(ckks.encode(params, smallest))[0] == 1
    for tiny in (smallest / 1.1, np.full(3, 1e-9), np.full((2, 4), -1e-300)):
        with pytest.raises(
            ValueError, match=r"all of their coefficients round to zero; encode at a larger scale"
        ):
            ckks.encode(params, tiny)
        assert not ckks.encode(params, 0 * tiny).data.any()
    one_of_two = ckks.encode(params, np.stack([smallest, smallest / 2]))
    assert one_of_two.data[0].any()
    assert not one_of_two.data[1].any()


def test_a_larger_scale_keeps_small_values(insecure):
    values = 1e-9 * insecure.numbers()
    found = np.asarray(ckks.decode(ckks.encode(insecure.params, values, scale=2.0**60)))
    assert abs(found - values).max() < 1e-16


@pytest.mark.parametrize("bits", [-1e9, -40, -27.5, -26.5, -7, 0, 26, 52, 54, 1000])
def test_the_predicate_says_what_is_encoded(insecure, bits):
    """For each vector, eagerly, under jit and under vmap."""
    params = insecure.params
    values = insecure.numbers(3) * 2.0**bits
    values[1] = 2.0**bits
    values[2] = 0
    expected = []
    for row in values:
        try:
            ckks.encode(params, row, level=1)
            expected.append(True)
        except ValueError:
            expected.append(False)
    assert ckks.encoding.is_encodable(params, values, level=1).tolist() == expected
    predicate = jax.jit(lambda v: ckks.encoding.is_encodable(params, v, level=1))
    with jax.enable_x64(True):
        device = jnp.asarray(values)
        assert predicate(device).tolist() == expected
        assert jax.vmap(predicate)(device).tolist() == expected


def test_the_predicate_on_what_is_not_finite(insecure_complex):
    params = insecure_complex.params
    for bad in (np.nan, np.inf, -np.inf, complex(0, np.nan), complex(np.inf, np.nan)):
        values = np.zeros((2, 3), complex)
        values[1, 2] = bad
        assert ckks.encoding.is_encodable(params, values).tolist() == [True, False]


def test_a_scale_may_be_any_positive_number(insecure_real):
    params, values = insecure_real.params, insecure_real.numbers()
    expected = ckks.encode(params, values, scale=Scale.of(2**30))
    for scale in (2.0**30, 2**30, np.float32(2**30), np.int64(2**30), Fraction(2**30)):
        found = ckks.encode(params, values, scale=scale)
        assert found.scale == expected.scale
        assert (found.data == expected.data).all()
    for scale in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a scale is positive and finite"):
            ckks.encode(params, values, scale=scale)


def test_a_scale_beyond_float64_cannot_be_decoded(insecure_real):
    plaintext = ckks.encode(insecure_real.params, insecure_real.numbers())
    for scale in (2**1100, Fraction(1, 2**1100)):
        with pytest.raises(ValueError, match=r"float64, which holds scales up to 2\*\*1000; rescale"):
            ckks.decode(dataclasses.replace(plaintext, scale=Scale.of(scale)))


def test_64_bit_integers_are_taken_as_float64():
    """Beyond 2**53 they are rounded to 53 bits, the smallest of them included."""
    for value in (2**53 + 1, -(2**53) - 1, 2**62 + 1, -(2**63), 2**63 - 1):
        found = exact_coefficients(ckks.encode(DEEP, np.full(64, value)))[0]
        assert abs(found - value * 2**26) <= abs(value) * 2 ** (26 - 50)
    found = exact_coefficients(ckks.encode(DEEP, np.full(64, 2**64 - 1, np.uint64)))[0]
    assert abs(found - 2**90) <= 2**40


def test_traced_numbers_in_a_list(insecure_real):
    params = insecure_real.params
    found = jax.jit(lambda x: ckks.encode(params, [x, 2 * x]).data)(np.float32(0.25))
    assert (found == ckks.encode(params, np.float32([0.25, 0.5])).data).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("abc", "given str"),
        (None, "given NoneType"),
        (["a", "b"], "array of <U1"),
        (np.array([0.5, None]), "array of object"),
        (np.full(4, 0.5, object), "convert them first"),
        ([2**70, 1], "array of object"),
        ([[1.0, 2.0], [3.0]], "makes no array"),
        (np.array(["2020"], "M8[Y]"), "datetime64"),
        (np.array([1], "m8[s]"), "timedelta64"),
        (np.zeros(3, [("a", float)]), "real or complex numbers"),
        (np.ma.masked_array([1.0, 2.0], mask=[False, True]), "masked entries have no value"),
        ([np.ma.masked_array([1.0, 2.0], mask=[False, True])], "masked entries have no value"),
        (object(), "given object"),
        (jax.ShapeDtypeStruct((4,), np.float32), "given ShapeDtypeStruct"),
        ({1: 2.0}, "given dict"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(insecure_real, values, message):
    for encode in (ckks.encode, ckks.estimate, ckks.encoding.is_encodable):
        with pytest.raises(TypeError, match=message) as found:
            encode(insecure_real.params, values)
        assert str(found.value).startswith(encode.__name__)


def test_random_keys_are_no_numbers(insecure_real):
    with pytest.raises(TypeError, match="it takes real or complex numbers"):
        ckks.encode(insecure_real.params, jax.random.split(ckks.random_key(), 4))
    with pytest.raises(TypeError, match=r"an array of key<.*> \(\) as scale; it needs a Scale or"):
        ckks.encode(insecure_real.params, np.zeros(4), scale=ckks.random_key())


def test_an_array_without_a_masked_entry_is_taken(insecure_real):
    values = insecure_real.numbers()
    found = ckks.encode(insecure_real.params, np.ma.masked_array(values))
    assert (found.data == ckks.encode(insecure_real.params, values).data).all()
