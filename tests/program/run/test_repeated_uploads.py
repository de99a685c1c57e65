"""Keys and uploads that are made again from random keys that were kept."""

import jax
import numpy as np
import pytest
from circuits import SAMPLES, compiled, data, linear_square_linear, rows

import fhejax
from fhejax import ckks
from fhejax.ring.randomness import key_from_bytes


@pytest.fixture(scope="module")
def program():
    return compiled(lambda x, y: linear_square_linear(x) * y[:, :1], rows(), rows(2))


def key(number=0):
    """A key that is made anew, as in another process."""
    return jax.random.fold_in(key_from_bytes(bytes(range(32))), number)


def values():
    return data(SAMPLES, 4), data(SAMPLES, 2)


def test_kept_random_keys_make_the_same_keys_and_ciphertexts(program):
    made = [program.keygen(random=key()) for _ in range(2)]
    assert ckks.files.to_bytes(made[0][1]) == ckks.files.to_bytes(made[1][1])
    sent = [program.encrypt(secret, *values(), random=key(1)) for secret, _ in made]
    assert fhejax.to_bytes(sent[0]) == fhejax.to_bytes(sent[1])
    secret, keys = made[0]
    found = program.decrypt(secret, program(keys, *sent[1]))
    np.testing.assert_allclose(found, program.clear(*values()), atol=0.02)


def test_no_two_messages_are_masked_alike(program):
    """Other values, other numbers, other arguments, other ciphertexts of one: every seed is another."""
    secret, _ = program.keygen()
    x, y = values()
    other = x.copy()
    other[0, 0] = -x[0, 0]
    sent = [
        program.encrypt(secret, x, y, random=key(1)),
        program.encrypt(secret, x, y, random=key(2)),
        program.encrypt(secret, 0 * x, 0 * y, random=key(1)),
        program.encrypt(secret, 0 * x, 0 * y),
        program.encrypt(program.keygen()[0], x, y, random=key(1)),
    ]
    seeds = np.concatenate([np.asarray(a.seeds).reshape(-1, 8) for pair in sent for a in pair])
    assert len(np.unique(seeds, axis=0)) == len(seeds) == 5 * 6
    changed = program.encrypt(secret, other, y, random=key(1))
    same = [
        (np.asarray(a.seeds) == np.asarray(b.seeds)).all(-1) for a, b in zip(sent[0], changed, strict=True)
    ]
    assert [int(s.sum()) for s in same] == [3, 2]  # the entries whose values are the same as before


def test_a_key_that_is_not_cryptographic_is_refused(program):
    secret, _ = program.keygen()
    for random in (jax.random.key(0), 7, jax.random.split(key())):
        with pytest.raises(ValueError, match="a single cryptographic random key is needed"):
            program.encrypt(secret, *values(), random=random)
        with pytest.raises(ValueError, match="a single cryptographic random key is needed"):
            program.keygen(random=random)
