"""Decryption to numbers in one executable: the bits of `decrypt` and `decode`, and the same refusals."""

import jax
import numpy as np
import pytest
from executables import executables

from fhejax import ckks
from fhejax.ckks.encryption.opening import real_numbers
from fhejax.program.run.client import decrypt_entries


def ciphertexts(params, secret, count):
    values = np.random.default_rng(count).uniform(-1, 1, (count, params.slots))
    key = ckks.random_key()
    return ckks.encrypt(key, secret, ckks.encode(params, values))


@pytest.fixture(scope="module", params=[True, False], ids=["real", "complex"])
def held(request):
    params = ckks.insecure_parameters(64, 2, 28.0, real=request.param)
    secret = ckks.secret_key(ckks.random_key(), params)
    return params, secret, ciphertexts(params, secret, 9)


def opened(secret, ciphertext):
    return np.real(np.asarray(ckks.decode(ckks.decrypt(secret, ciphertext))))


def test_numbers_are_those_of_decrypt_and_decode_bit_by_bit(held):
    _, secret, x = held
    right = opened(secret, x)
    found = real_numbers(secret, x, (0, 4, 5), 4)
    assert found.dtype == np.float64
    for start, part in zip((0, 4, 5), found, strict=True):
        assert (part == right[start : start + 4]).all()
    three = ckks.arithmetic.square_tensor(x)
    assert (real_numbers(secret, three, (0,), 9)[0] == opened(secret, three)).all()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_parts_join_to_all_entries(held, monkeypatch, count):
    """Parts of at most four: the last of nine begins where the one before has not ended."""
    params, secret, x = held
    monkeypatch.setattr("fhejax.program.run.client._equal_parts", lambda n: (-(-n // 4), min(n, 4)))
    found = decrypt_entries(secret, x.replace(data=x.data[:count]))
    assert found.shape == (count, params.slots)
    assert (found == opened(secret, x)[:count]).all()


def test_a_batch_is_one_executable(held):
    params, secret, _ = held
    x = ciphertexts(params, secret, 6)
    real_numbers(secret, x.replace(data=x.data[:5]), (0,), 5)  # what all of them share is made
    with executables() as made:
        real_numbers(secret, x, (0,), 6)
    assert made == [1]


def test_another_secret_and_altered_residues_are_refused(held):
    params, secret, x = held
    other = ckks.secret_key(ckks.random_key(), params)
    with pytest.raises(ValueError, match="of different secret keys"):
        decrypt_entries(other, x)
    last = x.moduli[-1]
    altered = x.replace(data=x.data.at[8, 1, -1, 0].set(jax.numpy.uint32(last)))
    with pytest.raises(ValueError, match="the ciphertext holds a residue that is not below its prime"):
        decrypt_entries(secret, altered)
    with pytest.raises(ValueError, match="the ciphertext holds uint32 with 2 limbs"):
        decrypt_entries(secret, x.replace(data=x.data[..., :2, :]))
