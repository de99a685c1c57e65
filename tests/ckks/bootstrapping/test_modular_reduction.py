"""The modular reduction: the polynomial in the clear, and on ciphertexts."""

import functools
import itertools
import math

import jax
import numpy as np
import pytest
from schemes import Scheme

from fhejax import ckks
from fhejax.ckks.bootstrapping.cosine_interpolation import (
    interpolate_cosine,
    reduce_in_the_clear,
    reduction_error,
)
from fhejax.ckks.bootstrapping.modular_reduction import (
    approximate_arcsine,
    double_angle_scales,
    modular_reduction_depth,
    undivided_reduction,
)
from fhejax.ckks.bootstrapping.options import BootstrappingOptions
from fhejax.ckks.bootstrapping.reduction_choice import choose_reduction
from fhejax.ckks.parameters.scale import Scale

BOUND, WEIGHT, RATIO = 3, 4, 10


def cosine(x: np.ndarray, double_angles: int) -> np.ndarray:
    return np.cos(2 * np.pi * (x - 0.25) / 2**double_angles)


@pytest.mark.parametrize(("bound", "weight"), [(3, 4), (5, 8), (9, 16), (16, 32), (12, 32)])
@pytest.mark.parametrize("ratio", [8, 10, 12, 15])
def test_chosen_polynomials_lose_nothing_beside_the_sine(bound, weight, ratio):
    degree, double_angles = choose_reduction(bound, weight, ratio, None, None)
    polynomial = interpolate_cosine(bound, degree, double_angles, weight, ratio)
    mean, worst = reduction_error(polynomial, double_angles, weight, ratio)
    sine = (math.tau / 2**ratio) ** 2 / 6
    assert mean < worst < 1.5 * sine
    assert mean < 0.6 * sine


def test_sixteen_takes_eight_levels():
    degree, double_angles = choose_reduction(16, 32, 15, None, None)
    assert modular_reduction_depth(degree, double_angles) == 8


@pytest.mark.parametrize("degree", [4, 5, 6, 7, 11, 14, 15, 21])
@pytest.mark.parametrize("double_angles", [0, 1, 2])
def test_the_nodes_are_hit(degree, double_angles):
    """Even and odd degrees, more nodes than integers: no node at an integer is lost."""
    polynomial = interpolate_cosine(BOUND, degree, double_angles, WEIGHT, RATIO)
    integers = np.arange(1 - BOUND, BOUND)
    found = np.polynomial.chebyshev.chebval(integers / BOUND, polynomial.coefficients)
    radius = 2.0**-RATIO  # a node is as near as this
    np.testing.assert_allclose(found, cosine(integers, double_angles), atol=8 * radius)


def test_higher_degrees_are_closer():
    errors = [reduction_error(interpolate_cosine(5, d, 1, 8, 15), 1, 8, 15)[1] for d in (10, 16, 22, 28)]
    assert errors == sorted(errors, reverse=True)


def test_too_low_a_degree_is_refused():
    with pytest.raises(ValueError, match="a degree of at least 30"):
        interpolate_cosine(16, 29, 3, 32, 15)
    with pytest.raises(ValueError, match="none in 15 levels"):
        choose_reduction(16, 32, 15, 29, None)


def test_what_is_given_has_to_leave_something():
    assert choose_reduction(3, 4, 10, 15, 2) == (15, 2)
    with pytest.raises(ValueError, match="off by up to 25"):
        choose_reduction(3, 4, 8, 6, 0)
    with pytest.raises(ValueError, match="double precision holds no coefficients"):
        interpolate_cosine(20, 200, 0, 1, 15)
    with pytest.raises(ValueError, match="none in 15 levels"):
        choose_reduction(200, 4, 15, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hamming_weight": 0}, "hamming_weight=0 .* from 1 to 256"),
        ({"hamming_weight": 17}, "hamming_weight=17 .* from 1 to 16"),
        ({"ratio_bits": 2}, "ratio_bits is from 3"),
        ({"ratio_bits": 31}, "to 30"),
        ({"ratio_bits": math.nan}, "ratio_bits=nan"),
        ({"hamming_weight": 8.0}, "hamming_weight=8.0"),
        ({"hamming_weight": True}, "hamming_weight=True"),
        ({"hamming_weight": 1000}, "hamming_weight=1000 .* to 256"),
        ({"polynomial_degree": 10**6}, "polynomial_degree=1000000"),
        ({"double_angles": 10**6}, "double_angles=1000000"),
        ({"arcsine_degree": 10**6 + 1}, "arcsine_degree=1000001"),
        ({"arcsine_degree": 4}, "odd"),
        ({"polynomial_degree": -1}, "polynomial_degree=-1 .* from 0 to 255"),
        ({"double_angles": -1}, "double_angles=-1 .* from 0 to 15"),
    ],
)
def test_what_no_reduction_has_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ckks.BootstrappingParameters.for_levels(
            1, degree=16, insecure=True, options=BootstrappingOptions(**options)
        )


@pytest.mark.parametrize("ratio", [4, 6, 8])
def test_the_arcsine_is_odd_and_near(ratio):
    angles = math.tau / 2**ratio * np.linspace(-1, 1, 301)
    errors = []
    for degree in (3, 5, 7):
        arcsine = approximate_arcsine(degree, ratio)
        assert not arcsine.coefficients[::2].any()
        found = np.polynomial.chebyshev.chebval(np.sin(angles) / arcsine.interval[1], arcsine.coefficients)
        errors.append(np.abs(found - angles).max() / angles[-1])
    assert errors[0] < (math.tau / 2**ratio) ** 4 / 64
    for before, after in itertools.pairwise(errors):
        assert after < max(before * (math.tau / 2**ratio) ** 2 / 4, 2.0**-50)


@pytest.mark.parametrize("degree", [-3, 0, 1, 2, 4, 6])
def test_an_arcsine_is_odd(degree):
    with pytest.raises(ValueError, match="odd and at least 3"):
        approximate_arcsine(degree, 8)


@pytest.mark.parametrize(("bound", "weight"), [(3, 4), (5, 8), (16, 32)])
@pytest.mark.parametrize(
    ("ratio", "arcsine_degree", "bits"), [(4, 7, 23), (6, 5, 30), (8, 3, 28.5), (8, 5, 34)]
)
def test_an_arcsine_takes_the_error_of_the_sine_away(bound, weight, ratio, arcsine_degree, bits):
    """With what is chosen for it; without it, the error is that of the sine."""
    arcsine = approximate_arcsine(arcsine_degree, ratio)
    degree, double_angles = choose_reduction(bound, weight, ratio, None, None, arcsine_degree)
    polynomial = interpolate_cosine(bound, degree, double_angles, weight, ratio)
    worst = reduction_error(polynomial, double_angles, weight, ratio, arcsine)[1]
    plain = reduction_error(polynomial, double_angles, weight, ratio)[1]
    assert -math.log2(worst) > bits
    assert abs(math.log2(plain / ((math.tau / 2**ratio) ** 2 / 6))) < 0.1
    assert modular_reduction_depth(degree, double_angles, arcsine_degree) <= 12


def modular_reduction(keys, x, *shape, target_scale, **options):
    """With the last division, as a bootstrap does it."""
    total = undivided_reduction(keys, x, *shape, target_scale=target_scale, **options)
    return ckks.relinearise(keys, total, target_level=total.level - 1).replace(scale=target_scale)


@functools.cache
def scheme() -> Scheme:
    params = ckks.insecure_parameters(64, 5, 50, real=False)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True)
    return Scheme(params, secret, None, keys)


def phases(*batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(integer + x, x), both [*batch, slots]."""
    generator = np.random.default_rng(0)
    shape = (*batch, scheme().params.slots)
    x = generator.uniform(-1, 1, shape) / 2**RATIO
    return generator.integers(1 - BOUND, BOUND, shape) + x, x


def reduction() -> tuple:
    degree, double_angles = 15, 1
    return interpolate_cosine(BOUND, degree, double_angles, WEIGHT, RATIO), double_angles


def test_integers_vanish():
    given, expected = phases(2)
    polynomial, double_angles = reduction()
    scale = scheme().params.scales[5] / BOUND
    x = scheme().encrypt(given, scale=scale)
    target = Scale.of(2.0**50)
    found = modular_reduction(scheme().keys, x, polynomial, double_angles, target_scale=target)
    assert found.level == 0
    assert found.scale == target
    error = np.abs(scheme().decrypt(found) - expected) * 2**RATIO
    assert error.max() < 2 * (math.tau / 2**RATIO) ** 2 / 6
    estimate = ckks.estimate(scheme().params, given, scale=scale)
    predicted = modular_reduction(None, estimate, polynomial, double_angles, target_scale=target)
    np.testing.assert_allclose(predicted.values, reduce_in_the_clear(polynomial, 1, given), atol=1e-9)
    noise = scheme().decrypt(found) - predicted.values
    # All noise is a product with one secret, whose values in the 32 slots differ: 0.63 bit was seen once.
    assert abs(math.log2(np.sqrt(np.mean(noise.real**2) / np.mean(predicted.deviation**2)))) < 1


def test_an_arcsine_on_ciphertexts():
    """A message of 1/64 of q_0: 9 bits with the sine alone."""
    ratio, generator = 6, np.random.default_rng(1)
    given = generator.uniform(-1, 1, (2, scheme().params.slots)) / 2**ratio
    polynomial, arcsine = interpolate_cosine(1, 7, 0, 1, ratio), approximate_arcsine(3, ratio)
    scale, target = scheme().params.scales[5], Scale.of(2.0**50)
    options = {"arcsine": arcsine, "target_scale": target}
    found = modular_reduction(scheme().keys, scheme().encrypt(given, scale=scale), polynomial, 0, **options)
    assert (found.level, found.scale) == (0, target)
    error = np.abs(scheme().decrypt(found) - given) * 2**ratio
    assert 2.0**-22.5 < error.max() < 2.0**-20.5
    estimate = ckks.estimate(scheme().params, given, scale=scale)
    predicted = modular_reduction(None, estimate, polynomial, 0, **options)
    np.testing.assert_allclose(
        predicted.values, reduce_in_the_clear(polynomial, 0, given, arcsine), atol=1e-9
    )
    noise = scheme().decrypt(found) - predicted.values
    assert abs(math.log2(np.sqrt(np.mean(noise.real**2) / np.mean(predicted.deviation**2)))) < 0.5


def test_scales_go_back_exactly():
    params, last = scheme().params, Scale.of(2.0**47)
    first, *rest = double_angle_scales(params, 1, 3, last)
    for level, scale in zip((4, 3, 2), rest, strict=True):
        first = first * first / 2 / params.rescale_factor(level, level - 1)
        assert first.is_close(scale)
    assert rest[-1] == last


def test_too_few_levels_are_refused():
    polynomial, double_angles = reduction()
    x = ckks.estimate(scheme().params, phases()[0], level=4)
    with pytest.raises(ValueError, match="5 levels was asked for at level 4"):
        modular_reduction(None, x, polynomial, double_angles, target_scale=Scale.of(2.0**40))


def test_jit_gives_the_same_bits():
    polynomial, double_angles = interpolate_cosine(2, 2, 0, 2, RATIO), 0
    x = scheme().encrypt(phases()[1], level=2, scale=scheme().params.scales[2] / 2)

    def reduce(keys: ckks.EvaluationKeys, y: ckks.Ciphertext) -> ckks.Ciphertext:
        return modular_reduction(keys, y, polynomial, double_angles, target_scale=Scale.of(2.0**50))

    np.testing.assert_array_equal(jax.jit(reduce)(scheme().keys, x).data, reduce(scheme().keys, x).data)
