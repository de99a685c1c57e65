"""Decryption for sharing: the attack on raw decryptions, its failure on shared ones, and the count."""

import dataclasses

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.encryption import decrypt_for_sharing, flooded, sharing_budget

BOUND = 2.0**-14


@pytest.fixture(scope="module", params=[True, False], ids=["conjugate-invariant", "standard"])
def small(request):
    params = ckks.insecure_parameters(64, 1, real=request.param)
    return params, ckks.secret_key(ckks.random_key(), params)


def numbers(params, seed=0):
    generator = np.random.default_rng(seed)
    real, imaginary = generator.uniform(-0.5, 0.5, (2, params.slots))
    return real if params.ring.conjugate_invariant else real + 1j * imaginary


def recovered_secret(params, ciphertext, released):
    """The values of s in the first prime field from c_0 + c_1 s = m: what Li and Micciancio solve.

    Whoever has the ciphertext and all digits of what was decrypted knows m: encoding them again gives it.
    """
    prime = ciphertext.moduli[0]
    message = np.asarray(ckks.encode(params, released, level=ciphertext.level, scale=ciphertext.scale).data)
    first, second = (np.asarray(ciphertext.data[i, 0], np.int64) for i in (0, 1))
    inverses = np.array([pow(int(c), -1, prime) if c else 0 for c in second], np.int64)
    return (message[0].astype(np.int64) - first) % prime * inverses % prime, second != 0


def share_of_secret(params, secret, ciphertext, released):
    """The share of the secret's values that the attack gives."""
    found, known = recovered_secret(params, ciphertext, released)
    only_secret = ckks.Ciphertext(
        np.stack([np.zeros_like(ciphertext.data[0]), np.ones_like(ciphertext.data[0])]),
        *(getattr(ciphertext, name) for name in ("key_id", "params", "level", "scale", "domain")),
    )
    values = np.asarray(ckks.decrypt(secret, only_secret).data[0])  # 0 + 1 s
    return np.mean(found[known] == values[known])


def encrypted(params, secret):
    return ckks.encrypt(ckks.random_key(), secret, ckks.encode(params, numbers(params)))


def test_a_raw_decryption_gives_the_whole_secret_away(small):
    params, secret = small
    ciphertext = encrypted(params, secret)
    raw = np.asarray(ckks.decode(ckks.decrypt(secret, ciphertext)))
    assert np.abs(raw - numbers(params)).max() < BOUND
    assert share_of_secret(params, secret, ciphertext, raw) == 1


def test_shared_decryptions_give_nothing_away(small):
    params, secret = small
    budget = sharing_budget(secret, 3, distance_bits=8)
    for count in (1, 2, 3):
        ciphertext = encrypted(params, secret)
        shared, budget = decrypt_for_sharing(ckks.random_key(), secret, ciphertext, budget, noise_bound=BOUND)
        assert (budget.released, budget.left) == (count, 3 - count)
        assert share_of_secret(params, secret, ciphertext, shared) < 0.2
    with pytest.raises(ValueError, match="all 3 releases of this secret key are used up"):
        decrypt_for_sharing(ckks.random_key(), secret, ciphertext, budget, noise_bound=BOUND)


def test_noise_is_as_large_as_the_distance_needs_and_the_rest_is_rounded_away(small):
    _, secret = small
    budget = sharing_budget(secret, 4, distance_bits=11)
    values = np.full((50, 200), 0.3)
    shared, _ = flooded(ckks.random_key(), secret, values, budget, noise_bound=2.0**-20)
    deviation = budget.deviation(2.0**-20, 10_000)
    assert deviation == pytest.approx(2.0**-20 * 100 * 2 * 2**10)
    assert np.std(shared) == pytest.approx(deviation, rel=0.05)
    assert np.mean(shared) == pytest.approx(0.3, abs=5 * deviation / 100)
    grid = 2.0 ** np.floor(np.log2(deviation))
    assert np.all(shared / grid == np.round(shared / grid))


def test_the_distance_of_two_flooded_numbers_is_within_the_promise():
    """The total variation of N(0, d) and N(t, d) is erf(t / (d sqrt 8))."""
    from scipy.special import erf

    budget = ckks.encryption.SharingBudget((0,) * 4, 1, 0, 10.0)
    deviation = budget.deviation(1.0, 1)
    assert 2.0**-11 < erf(1 / (deviation * 8**0.5)) <= 2.0**-10


def test_equal_keys_do_not_give_two_ciphertexts_one_noise(small):
    params, secret = small
    budget = sharing_budget(secret, 2, distance_bits=8)
    key = ckks.random_key()
    first, second = (encrypted(params, secret) for _ in range(2))
    words = jax.random.key_data(key)
    again = jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))
    one, _ = decrypt_for_sharing(key, secret, first, budget, noise_bound=BOUND)
    other, _ = decrypt_for_sharing(again, secret, second, budget, noise_bound=BOUND)
    assert np.abs(one - other).max() > 2**4 * BOUND


def test_a_batch_is_one_release(small):
    params, secret = small
    plaintext = ckks.encode(params, np.stack([numbers(params, seed) for seed in range(3)]))
    ciphertext = ckks.encrypt(ckks.random_key(), secret, plaintext)
    budget = sharing_budget(secret, 1, distance_bits=8)
    shared, spent = decrypt_for_sharing(ckks.random_key(), secret, ciphertext, budget, noise_bound=BOUND)
    assert shared.shape == (3, params.slots) and spent.left == 0


def test_what_cannot_be_shared_is_refused(small):
    params, secret = small
    other = ckks.secret_key(ckks.random_key(), params)
    ciphertext, budget = encrypted(params, secret), sharing_budget(secret, 1)
    with pytest.raises(ValueError, match="a budget of another secret key"):
        decrypt_for_sharing(
            ckks.random_key(), secret, ciphertext, sharing_budget(other, 1), noise_bound=BOUND
        )
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="it is a positive number"):
            decrypt_for_sharing(ckks.random_key(), secret, ciphertext, budget, noise_bound=wrong)
    with pytest.raises(ValueError, match="float64 has not"):
        decrypt_for_sharing(ckks.random_key(), secret, ciphertext, budget, noise_bound=1e-30)
    with pytest.raises(ValueError, match="cryptographic random key"):
        decrypt_for_sharing(jax.random.key(0), secret, ciphertext, budget, noise_bound=BOUND)
    with pytest.raises(ValueError, match="different secret"):
        decrypt_for_sharing(ckks.random_key(), other, ciphertext, sharing_budget(other, 1), noise_bound=BOUND)
    for releases, bits in ((0, 30), (-1, 30), (1, 0), (1, 129)):
        with pytest.raises(ValueError, match="it needs 1 release or more"):
            sharing_budget(secret, releases, distance_bits=bits)


def test_the_count_is_data_that_the_caller_keeps(small):
    _, secret = small
    budget = sharing_budget(secret, 5)
    assert dataclasses.replace(budget, released=3).left == 2 and hash(budget) is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        budget.released = 4
