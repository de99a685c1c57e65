"""Noise formulas against measurement, operation by operation."""

import jax
import numpy as np
import pytest
from schemes import make_scheme

from fhejax import ckks
from fhejax.ckks import noise
from fhejax.ckks.keys import digit_ranges
from fhejax.ring import Ring, modulus_bits


def bits_off(found: float, predicted: float) -> float:
    return abs(np.log2(found / predicted))


@pytest.fixture(scope="module", params=[True, False], ids=["real", "complex"])
def insecure_large(request):
    """N = 2**11, two levels, digits of one prime: insecure, large enough for steady statistics."""
    return make_scheme(ckks.insecure_parameters(2**11, 2, real=request.param, digit_size=1))


def error(scheme, ciphertext, expected) -> float:
    return scheme.deviation(ciphertext, expected)


def test_fresh_and_rescaled(insecure_large):
    ring, params = insecure_large.params.ring, insecure_large.params
    x = insecure_large.numbers(4)
    ciphertext = insecure_large.encrypt(x)
    assert bits_off(error(insecure_large, ciphertext, x), noise.fresh_deviation(ring)) < 0.1
    public = ckks.encrypt(ckks.random_key(), insecure_large.public, ckks.encode(params, x))
    predicted = noise.fresh_public_deviation(ring)
    assert bits_off(error(insecure_large, public, x), predicted) < 0.15
    high = insecure_large.encrypt(x, scale=params.scales[2] * params.moduli[2])
    rescaled = ckks.rescale(high)
    assert bits_off(error(insecure_large, rescaled, x), noise.rescale_deviation(ring)) < 0.15


def test_key_switch(insecure_large):
    """Relinearisation alone: c_2 s^2 for a uniform c_2, against the exact product."""
    params, ring = insecure_large.params, insecure_large.params.ring
    x = insecure_large.numbers(4)
    tensor = ckks.square_tensor(insecure_large.encrypt(x))
    exact = insecure_large.decrypt(tensor)
    result = ckks.relinearise(insecure_large.keys, tensor)
    moduli = params.level_moduli(2)
    ratios = [
        2.0 ** (modulus_bits(moduli[a:b]) - modulus_bits(params.special)) for a, b in digit_ranges(params, 2)
    ]
    ratio = float(np.sqrt(np.mean(np.square(ratios))))
    predicted = noise.key_switch_deviation(ring, ratio, len(ratios))
    assert bits_off(error(insecure_large, result, exact), predicted) < 0.15
    assert predicted > 1.05 * noise.rescale_deviation(ring)  # the keys' part is seen too


def test_formulas_scale_as_they_should():
    small, large = Ring(2**10, True), Ring(2**14, True)
    assert noise.fresh_deviation(large) == pytest.approx(4 * noise.fresh_deviation(small))
    ratio = noise.rescale_deviation(large) / noise.rescale_deviation(small)
    assert ratio == pytest.approx(16, rel=1e-2)
    # a real slot collects the variance of 2N coefficients; the real part of a complex one, of N/2
    standard = Ring(2**10)
    ratio = noise.slot_deviation(small, 1.0) / noise.slot_deviation(standard, 1.0)
    assert ratio == pytest.approx(2)


def test_rescale_noise_at_secure_parameters(secure):
    ring, params = secure.params.ring, secure.params
    x = secure.numbers(2)
    first = jax.random.split(ckks.random_key(), 2)[0]
    scale = params.scales[2] * params.moduli[2]
    plaintext = ckks.encode(params, x, scale=scale)
    result = ckks.rescale(ckks.encrypt(first, secure.secret, plaintext))
    assert bits_off(secure.deviation(result, x), noise.rescale_deviation(ring)) < 0.15
