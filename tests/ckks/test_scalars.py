"""Constants and integer weights on ciphertexts: exact, on two and three components."""

import math
from fractions import Fraction

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.noise import estimates
from fhejax.ckks.parameters import Scale
from fhejax.ckks.scalars import add_scalar, weighted_sum
from fhejax.ring import inverse_ntt


def exact(value) -> Fraction:
    return value if isinstance(value, Fraction) else Fraction(float(value))


def test_a_constant_is_added_exactly(insecure):
    x = insecure.numbers(2)
    ciphertext = insecure.encrypt(x)
    before = insecure.decrypt(ciphertext)
    for value in (0.0, 1.25, -3, 1e-4, Fraction(1, 3), np.float32(0.5), np.int64(2)):
        result = add_scalar(ciphertext, value)
        assert (result.level, result.scale) == (ciphertext.level, ciphertext.scale)
        rounded = round(exact(value) * ciphertext.scale.fraction()) / float(ciphertext.scale)
        np.testing.assert_allclose(insecure.decrypt(result) - before, rounded, rtol=0, atol=1e-13)
        assert (result.data[:, 1] == ciphertext.data[:, 1]).all()


def test_a_constant_on_three_components(insecure):
    """At the scale of the product, not its square."""
    ciphertext = insecure.encrypt(insecure.numbers(2))
    tensor = ckks.evaluation.tensor(ciphertext, ciphertext)
    result = add_scalar(tensor, -0.75)
    assert (result.components, result.scale) == (3, tensor.scale)
    difference = insecure.decrypt(result) - insecure.decrypt(tensor)
    np.testing.assert_allclose(difference, -0.75, rtol=0, atol=1e-13)


def test_a_constant_in_the_coefficient_domain(insecure_real):
    params = insecure_real.params
    ciphertext = insecure_real.encrypt(insecure_real.numbers())
    data = inverse_ntt(ciphertext.data, params.ring, ciphertext.moduli)
    coefficients = ciphertext.replace(data=data, domain="coefficient")
    result = insecure_real.decrypt(add_scalar(coefficients, 0.5))
    np.testing.assert_allclose(result, insecure_real.decrypt(ciphertext) + 0.5, rtol=0, atol=1e-13)


def test_jit_and_vmap_give_the_same_bits(insecure_real):
    ciphertext = insecure_real.encrypt(insecure_real.numbers(2))
    axes = ciphertext.replace(data=0, key_id=None)

    def function(y):
        return weighted_sum([add_scalar(y, 0.3), y], [5, -7], 11)

    expected = function(ciphertext).data
    assert (jax.jit(function)(ciphertext).data == expected).all()
    assert (jax.vmap(function, in_axes=(axes,), out_axes=0)(ciphertext).data == expected).all()


@pytest.mark.parametrize("count", [1, 15, 16, 31])
def test_weighted_sums_against_integers(insecure_real, count):
    """Every residue, on two and three components mixed, at edge values."""
    params, generator = insecure_real.params, np.random.default_rng(count)
    first = insecure_real.encrypt(insecure_real.numbers())
    moduli = np.array(first.moduli, object)[:, None]
    weights = [int(w) for w in generator.integers(-(2**62), 2**62, count)]
    weights[0] = -(2**90) - 1
    terms = []
    for number in range(count):
        residues = generator.integers(0, moduli.astype(np.int64), (2 + number % 2, len(moduli), params.slots))
        residues[..., :2] = moduli.astype(np.int64) - 1
        terms.append(first.replace(data=jax.numpy.asarray(residues.astype(np.uint32))))
    constant = 2**70 + 3
    result = weighted_sum(terms, weights, constant)
    expected = np.zeros((min(count, 2) + 1, len(moduli), params.slots), object)
    for term, weight in zip(terms, weights, strict=True):
        expected[: term.components] += np.asarray(term.data).astype(object) * weight
    expected[0] += constant
    assert (np.asarray(result.data).astype(object) == expected % moduli).all()


def test_estimates_take_the_place_of_ciphertexts(insecure_real):
    x = insecure_real.numbers(2)
    estimate = estimates.estimate(insecure_real.params, x)
    shifted = add_scalar(estimate, 0.25)
    np.testing.assert_allclose(shifted.values, x + 0.25)
    np.testing.assert_allclose(shifted.deviation, estimate.deviation)
    total = weighted_sum([estimate, shifted], [3, -1], round(float(estimate.scale)))
    np.testing.assert_allclose(total.values, 2 * x + 0.75)
    np.testing.assert_allclose(total.deviation, 2 * estimate.deviation)


def test_what_is_refused(insecure_real):
    ciphertext = insecure_real.encrypt(np.zeros(4))
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="a finite number is needed"):
            add_scalar(ciphertext, value)
    for value in (1j, "1", np.zeros(3), None):
        with pytest.raises(TypeError, match="one real number, the same for every slot"):
            add_scalar(ciphertext, value)
    for value in ("1", None, np.zeros(3), 1j, np.complex64(1), [1.0]):
        with pytest.raises(TypeError, match="it needs a real number"):
            ckks.multiply_scalar(ciphertext, value)
    for value in (float("nan"), np.float32(np.inf)):
        with pytest.raises(ValueError, match=r"multiply_scalar was given (nan|inf); a finite number"):
            ckks.multiply_scalar(ciphertext, value)
    lower = ckks.drop_level(ciphertext, 2)
    with pytest.raises(ValueError, match=r"level 4 and scale .* level 2 and scale"):
        weighted_sum([ciphertext, lower], [1, 1])


def largest(ciphertext, weight: float) -> float:
    """The number whose product with `weight` is half the modulus."""
    return math.prod(ciphertext.moduli) / 2 / weight


@pytest.mark.parametrize("level", [0, 1, 4])
def test_a_constant_that_does_not_fit_is_refused(insecure_real, level):
    for x in (
        insecure_real.encrypt(np.zeros(4), level=level),
        ckks.estimate(insecure_real.params, np.zeros(4), level=level),
    ):
        limit = largest(x, float(x.scale))
        for sign in (1, -1):
            assert add_scalar(x, sign * limit * 0.999).level == level
            with pytest.raises(
                ValueError, match=r"add_scalar was given .*, which holds less than .* higher level"
            ):
                add_scalar(x, sign * limit * 1.001)
        for value in (1e40, Fraction(10**400), -(10**400)):
            with pytest.raises(ValueError, match=r"add_scalar was given (1e\+40|-?2\*\*1328)"):
                add_scalar(x, value)


def test_a_factor_that_does_not_fit_is_refused(insecure_real):
    """The product with a message of one unit would do so."""
    for x in (insecure_real.encrypt(np.zeros(4)), ckks.estimate(insecure_real.params, np.zeros(4))):
        limit = largest(x, float(x.scale))
        for sign in (1, -1):
            assert ckks.multiply_scalar(x, sign * limit * 0.99).level == 3
            assert ckks.evaluation.multiply_integer(x, sign * (math.prod(x.moduli) // 2)).level == 4
            with pytest.raises(ValueError, match=r"multiply_scalar was given .*, which holds less than"):
                ckks.multiply_scalar(x, sign * limit * 1.01)
            with pytest.raises(ValueError, match=r"multiply_integer was given .*, which holds less than"):
                ckks.evaluation.multiply_integer(x, sign * (math.prod(x.moduli) // 2 + 1))


def test_numbers_that_round_to_zero_are_refused(insecure_real):
    for x in (insecure_real.encrypt(np.zeros(4)), ckks.estimate(insecure_real.params, np.zeros(4))):
        half = 0.5 / float(x.scale)
        for sign in (1, -1):
            for operation in (add_scalar, ckks.multiply_scalar):
                assert operation(x, sign * half * 1.01).params == x.params
                message = f"{operation.__name__} was given .*, which rounds to zero at scale .*larger scale"
                for value in (sign * half * 0.99, sign * 1e-300, Fraction(sign, 10**400)):
                    with pytest.raises(ValueError, match=message):
                        operation(x, value)
        for zero in (0, 0.0, -0.0, Fraction(0)):
            assert add_scalar(x, zero).level == 4
            assert ckks.multiply_scalar(x, zero).level == 3


def test_a_factor_is_rounded_once(insecure_real):
    """A Fraction keeps more bits than a float at a large weight."""
    x = insecure_real.encrypt(1e4 * insecure_real.numbers(), scale=Scale.of(2.0**-6))
    exact, rounded = (ckks.multiply_scalar(x, value) for value in (Fraction(1, 3), 1 / 3))
    weight = exact.scale * x.params.rescale_factor(4, 3) / x.scale
    factors = [round(Fraction(value) * weight.fraction()) for value in (Fraction(1, 3), 1 / 3)]
    assert factors[0] != factors[1]
    for result, factor in zip((exact, rounded), factors, strict=True):
        expected = ckks.rescale(ckks.evaluation.multiply_integer(x, factor).replace(scale=x.scale * weight))
        assert (result.data == expected.data).all()
