"""Products with powers of X against the polynomials themselves."""

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.evaluation import multiply_by_monomial
from fhejax.ring import inverse_ntt

PARAMS = ckks.insecure_parameters(16, 2, real=False)
SECRET = ckks.secret_key(ckks.random_key(), PARAMS)


def encrypted() -> ckks.Ciphertext:
    values = np.random.default_rng(0).uniform(-1, 1, (2, PARAMS.slots))
    return ckks.encrypt(ckks.random_key(), SECRET, ckks.encode(PARAMS, values))


def moved(coefficients: np.ndarray, power: int, moduli: tuple[int, ...]) -> np.ndarray:
    """The coefficients [.., limb, N] of X^power times polynomials, by hand."""
    degree = coefficients.shape[-1]
    result = np.zeros_like(coefficients)
    for place in range(degree):
        turns, target = divmod(place + power, degree)
        sign = -1 if turns % 2 else 1
        for limb, q in enumerate(moduli):
            result[..., limb, target] = sign * coefficients[..., limb, place] % q
    return result


@pytest.mark.parametrize("power", [0, 1, 3, 8, 12, 16, 31, -4, 37])
def test_coefficients_move_and_change_sign(power):
    x = encrypted()
    before, after = (
        np.asarray(inverse_ntt(data, PARAMS.ring, x.moduli), np.int64)
        for data in (x.data, multiply_by_monomial(x, power).data)
    )
    np.testing.assert_array_equal(after, moved(before, power, x.moduli))


def test_under_jit_and_vmap_and_on_estimates():
    x = encrypted()
    wanted = multiply_by_monomial(x, 5)
    np.testing.assert_array_equal(jax.jit(multiply_by_monomial, static_argnums=1)(x, 5).data, wanted.data)
    one = jax.vmap(lambda data: multiply_by_monomial(x.replace(data=data), 5).data)(x.data)
    np.testing.assert_array_equal(one, wanted.data)
    values = np.random.default_rng(1).uniform(-1, 1, PARAMS.slots)
    estimate = multiply_by_monomial(ckks.estimate(PARAMS, values), 5)
    y = ckks.encrypt(ckks.random_key(), SECRET, ckks.encode(PARAMS, values))
    found = ckks.decode(ckks.decrypt(SECRET, multiply_by_monomial(y, 5)))
    np.testing.assert_allclose(found, estimate.values, atol=1e-3)


def test_the_conjugate_invariant_ring_is_refused():
    params = ckks.insecure_parameters(16, 2)
    with pytest.raises(ValueError, match="use the standard ring"):
        multiply_by_monomial(ckks.estimate(params, np.zeros(16)), 1)
