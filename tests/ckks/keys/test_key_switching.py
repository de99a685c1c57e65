"""Key switching: its algebra exactly, in Python integers, and its errors bounded."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.keys import switching
from fhejax.ckks.keys.generation import digit_ranges, evaluate_secret
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ring import automorphism, inverse_ntt
from fhejax.ring.wide import wide

DEGREE = 16


def kernel(function, *static):
    return jax.jit(wide(function), static_argnums=static)


_decompose = kernel(switching.decompose, 2, 3)
inner_product = kernel(switching.inner_product)
_switch_key = kernel(switching.switch_key, 3)


def switch_key(x: jax.Array, key: ckks.keys.SwitchingKey, level: int) -> jax.Array:
    return _switch_key(x, twiddles_of(key.params), key, level)


def decompose(x: jax.Array, params: Parameters, level: int) -> jax.Array:
    """Every digit whole, [digit, limb of Q then P, N]."""
    digits = _decompose(x, twiddles_of(params), params, level)
    blocks = range(len(switching.prime_ranges(params, level)))
    count = len(digit_ranges(params, level))
    rows = [jnp.concatenate([digits.digit(i, block) for block in blocks], -2) for i in range(count)]
    return jnp.stack(rows)


def integers(values: jax.Array, params: Parameters, moduli: tuple[int, ...]) -> np.ndarray:
    """Centred coefficients, object [..., N], of values [..., limb, N]."""
    residues = np.asarray(inverse_ntt(values, params.ring, moduli)).astype(object)
    total = math.prod(moduli)
    lift = [total // q * pow(total // q, -1, q) for q in moduli]
    value = sum(residues[..., i, :] * factor for i, factor in enumerate(lift)) % total
    return np.where(value > total // 2, value - total, value)


def uniform(moduli: tuple[int, ...], seed: int) -> jax.Array:
    generator = np.random.default_rng(seed)
    rows = np.stack([generator.integers(0, q, DEGREE) for q in moduli]).astype(np.uint32)
    rows[:, 0], rows[:, 1] = 0, np.array(moduli) - 1
    return jnp.asarray(rows)


def everything(params: Parameters, level: int) -> tuple[int, ...]:
    return params.level_moduli(level) + params.special


@pytest.fixture(scope="module", params=[(True, 1), (True, 2), (False, 2)], ids=str)
def switched(request):
    """(parameters, secret, relinearisation key) on a ring of degree 16: insecure."""
    real, digit_size = request.param
    params = ckks.insecure_parameters(DEGREE, 4, real=real, digit_size=digit_size)
    secret = ckks.secret_key(ckks.random_key(), params)
    keys = ckks.evaluation_keys(ckks.random_key(), secret, relinearise=True)
    return params, secret, keys.relinearisation


@pytest.mark.parametrize("level", [4, 1, 0])
def test_digits_are_centred_and_name_the_same_residues(switched, level):
    params, _, _ = switched
    moduli = params.level_moduli(level)
    x = uniform(moduli, 1)
    digits = decompose(x, params, level)
    ranges = digit_ranges(params, level)
    assert digits.shape == (len(ranges), len(everything(params, level)), DEGREE)
    found = integers(digits, params, everything(params, level))
    coefficients = np.asarray(inverse_ntt(x, params.ring, moduli)).astype(object)
    for digit, (start, stop) in zip(found, ranges, strict=True):
        product = math.prod(moduli[start:stop])
        assert (abs(digit) <= product // 2).all()
        for limb in range(start, stop):
            assert (digit % moduli[limb] == coefficients[limb]).all()


def times(x: np.ndarray, y: np.ndarray, params: Parameters) -> np.ndarray:
    """The product of two elements in the ring, over the integers."""

    def ambient(a):
        return [*a, 0, *(-a[:0:-1])] if params.ring.conjugate_invariant else list(a)

    a, b = ambient(x), ambient(y)
    result = [0] * len(a)
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            result[(i + j) % len(a)] += first * second * (-1 if i + j >= len(a) else 1)
    return np.array(result[:DEGREE], object)


@pytest.mark.parametrize("level", [4, 2, 0])
def test_a_switched_component_is_p_times_c_times_the_square(switched, level):
    """With a key of the highest level, cut: k_0 + k_1 s = P c s^2 + sum of digit * error."""
    params, secret, key = switched
    moduli = everything(params, level)
    x = uniform(params.level_moduli(level), 2)
    pair = integers(switch_key(x, key, level), params, moduli)
    s = np.asarray(secret.coefficients).astype(object)
    c = integers(x, params, params.level_moduli(level))
    total, special = math.prod(moduli), math.prod(params.special)
    exact = special * times(c, times(s, s, params), params)
    error = (pair[0] + times(pair[1], s, params) - exact) % total
    error = np.where(error > total // 2, error - total, error)
    digits = digit_ranges(params, level)
    largest = max(math.prod(moduli[a:b]) for a, b in digits)
    bound = len(digits) * params.ring.expansion * (largest // 2) * 21
    assert 0 < abs(error).max() <= bound
    assert bound < total // 4


def test_many_digits_of_the_largest_residues_do_not_overflow():
    """41 products of 60 bits are more than one unsigned 64-bit sum holds."""
    params = ckks.insecure_parameters(DEGREE, 39, 29.9, digit_size=1)
    moduli = everything(params, 39)
    highest = np.array(moduli, np.uint32)[:, None] - 1
    full = np.broadcast_to(highest, (41, 2, len(moduli), DEGREE))
    key = ckks.keys.SwitchingKey(
        jnp.asarray(full), jnp.zeros(8, jnp.uint32), jnp.zeros(4, jnp.uint32), params, 39
    )
    own, special = np.split(full[0, 0], [41])
    others, special = (np.broadcast_to(a, (n, *a.shape)) for a, n in ((own, 40), (special, 41)))
    digits = switching.Decomposition(*map(jnp.asarray, (own, others, special)), params, 39)
    result = np.asarray(inner_product(digits, key))
    assert (result == np.array([41 % q for q in moduli], np.uint32)[:, None]).all()


def test_a_cut_key_is_the_key_made_for_that_level(insecure_real):
    """Both give the product; the one made lower is smaller."""
    x = insecure_real.numbers(seed=1)
    ciphertext = insecure_real.encrypt(x, level=2)
    low = ckks.evaluation_keys(ckks.random_key(), insecure_real.secret, relinearise=True, level=2)
    assert low.wire_bytes < insecure_real.keys.relinearisation.wire_bytes
    for keys in (low, insecure_real.keys):
        result = ckks.square(keys, ciphertext)
        assert abs(insecure_real.decrypt(result) - x**2).max() < 1e-3


@pytest.mark.parametrize("target", [3, 1])
def test_dividing_once_is_dividing_twice_within_rounding(insecure, target):
    x, y = insecure.numbers(4, seed=1), insecure.numbers(4, seed=2)
    tensor = ckks.evaluation.tensor(insecure.encrypt(x), insecure.encrypt(y))
    once = ckks.relinearise(insecure.keys, tensor, target_level=target)
    twice = ckks.rescale(ckks.relinearise(insecure.keys, tensor), target)
    assert once.scale == twice.scale
    moduli = insecure.params.level_moduli(target)
    column = np.array(moduli, np.int64)[:, None]
    first, second = (
        np.asarray(inverse_ntt(c.data, insecure.params.ring, moduli)).astype(np.int64) for c in (once, twice)
    )
    difference = (first - second) % column
    difference = np.minimum(difference, column - difference)
    assert difference.max() <= 1


def test_rotation_keys_switch_a_rotated_secret(insecure_real):
    """The key for X -> X^5 turns c under s into c under s(X^(1/5))."""
    params, secret = insecure_real.params, insecure_real.secret
    key = insecure_real.keys.rotations[5]
    moduli = params.level_moduli(1)
    x = ckks.encode(params, insecure_real.numbers(), level=1).data
    pair = switch_key(x, key, 1)
    divided = kernel(switching.divide_by_special, 1, 2, 3)(pair, params, 1, 1)
    values = evaluate_secret(secret, twiddles_of(params), moduli)
    target = automorphism(values, params.ring, pow(5, -1, params.ring.root_order))
    column = np.array(moduli, object)[:, None]
    first, second, own, other, plain = (np.asarray(a).astype(object) for a in (*divided, values, target, x))
    difference = ((first + second * other - plain * own) % column).astype(np.uint32)
    error = integers(jnp.asarray(difference), params, moduli)
    assert 0 < abs(error).max() < 2**12
