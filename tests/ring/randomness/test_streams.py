"""Streams are derived as documented, and no two uses share one."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_chacha20 import python_block

from fhejax.ring import key_from_bytes, random_key
from fhejax.ring.randomness.message_digest import message_digest
from fhejax.ring.randomness.streams import derive

SECRET = bytes(range(32))


def data_of(key: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


def python_derive(start: bytes, label: str, words: list[int]) -> np.ndarray:
    """The cascade in plain Python: three words a block, as nonce and counter."""
    digest = hashlib.blake2b(label.encode(), digest_size=12).digest()
    words = [*np.frombuffer(digest, "<u4").tolist(), *words]
    words += [0] * (-len(words) % 3)
    for first, second, counter in zip(words[::3], words[1::3], words[2::3], strict=True):
        block = python_block(start, counter, (4, first, second))
        start = b"".join(word.to_bytes(4, "little") for word in block[:8])
    return np.frombuffer(start, "<u4")


def test_a_derived_key_is_the_documented_cascade():
    start = data_of(jax.random.split(key_from_bytes(SECRET))[0]).astype("<u4").tobytes()
    bound = jnp.array([7, 2**32 - 1, 0, 5], jnp.uint32)
    found = data_of(derive(key_from_bytes(SECRET), "a test", bound))
    assert (found == python_derive(start, "a test; [(4,)]", [7, 2**32 - 1, 0, 5])).all()
    assert (data_of(derive(key_from_bytes(SECRET), "b")) == python_derive(start, "b; []", [])).all()


def test_all_that_is_bound_makes_a_difference():
    words = jnp.arange(4, dtype=jnp.uint32)
    message = jnp.arange(64, dtype=jnp.uint32).reshape(4, 16)
    derived = [
        derive(key_from_bytes(SECRET), "one"),
        derive(key_from_bytes(SECRET), "two"),
        derive(key_from_bytes(SECRET[::-1]), "one"),
        derive(key_from_bytes(SECRET), "one", words),
        derive(key_from_bytes(SECRET), "one", words.at[3].add(1)),
        derive(key_from_bytes(SECRET), "one", words[:3]),
        derive(key_from_bytes(SECRET), "one", words[:2], words[2:]),
        derive(key_from_bytes(SECRET), "one", message=message),
        derive(key_from_bytes(SECRET), "one", message=message.at[3, 15].add(1)),
        derive(key_from_bytes(SECRET), "one", message=message.reshape(2, 32)),
    ]
    assert len({data_of(key).tobytes() for key in derived}) == len(derived)


def test_jit_is_plain_and_lanes_differ_even_where_nothing_else_does():
    message = jnp.ones((3, 2, 16), jnp.uint32)
    key = random_key()
    words = jax.random.key_data(key)

    def of(words: jax.Array, message: jax.Array) -> jax.Array:
        key = jax.random.wrap_key_data(words, impl=jax.random.key_impl(random_key_type))
        return jax.random.key_data(derive(key, "a test", message=message))

    random_key_type = key_from_bytes(SECRET)
    plain = np.asarray(of(words, message[0]))
    assert (np.asarray(jax.jit(of)(words, message[0])) == plain).all()
    shared = np.asarray(jax.vmap(of, in_axes=(None, 0))(words, message))
    assert len({plain.tobytes(), *(row.tobytes() for row in shared)}) == 4
    assert (np.asarray(jax.jit(jax.vmap(of, in_axes=(None, 0)))(words, message)) == shared).all()
    own = np.asarray(jax.vmap(of)(jnp.stack([words] * 3), message))
    assert (own == plain).all()  # a key for each lane, given by the caller, is taken as it is


def test_nested_lanes_differ():
    message = jnp.ones((2, 3, 2, 16), jnp.uint32)
    key = random_key()

    def of(message: jax.Array) -> jax.Array:
        return jax.random.key_data(derive(jax.random.clone(key), "a test", message=message))

    found = np.asarray(jax.vmap(jax.vmap(of))(message)).reshape(6, 8)
    assert len({row.tobytes() for row in found}) == 6
    mixed = np.asarray(
        jax.vmap(lambda m: jax.lax.map(of, m))(message + jnp.arange(3, dtype=jnp.uint32)[None, :, None, None])
    )
    assert len({row.tobytes() for row in mixed.reshape(6, 8)}) == 6


def test_a_key_is_used_up():
    key = random_key()
    derive(key, "one")
    with pytest.raises(jax.errors.KeyReuseError):
        derive(key, "two")


PRIME = 2**31 - 1


def python_digest(row_keys: np.ndarray, points: np.ndarray, message: np.ndarray) -> list[int]:
    """Both stages with Python integers."""
    half = row_keys.shape[1] - 3
    rows = message.reshape(-1, 2, half).tolist()
    keys = row_keys.tolist()
    sums = [
        sum(
            ((a + keys[0][lane + i]) % 2**32) * ((b + keys[1][lane + i]) % 2**32)
            for i, (a, b) in enumerate(zip(*row, strict=True))
        )
        % 2**64
        for lane in range(4)
        for row in rows
    ]
    pieces = [s >> shift & (2**22 - 1) for shift in (0, 22, 44) for s in sums]
    return [sum(c * pow(x % 2**31, i, PRIME) for i, c in enumerate(pieces)) % PRIME for x in points.tolist()]


@pytest.mark.parametrize("shape", [(16,), (3, 2), (2, 5, 4096)])
def test_a_digest_is_both_stages_exactly(shape):
    message = np.random.default_rng(1).integers(0, 2**32, shape, np.uint32)
    half = min(512, shape[-1] // 2)
    words = np.asarray(jax.random.bits(key_from_bytes(SECRET), (2 * (half + 3) + 8,), np.uint32))
    found = np.asarray(message_digest(key_from_bytes(SECRET), jnp.asarray(message))).tolist()
    expected = python_digest(words[:-8].reshape(2, -1), words[-8:], message)
    assert [value % PRIME for value in found] == expected


def test_one_bit_anywhere_changes_every_word_of_the_digest():
    message = np.random.default_rng(2).integers(0, 2**30, (3, 64), np.uint32)
    digests = [np.asarray(message_digest(key_from_bytes(SECRET), jnp.asarray(message)))]
    for position in range(message.size):
        changed = message.copy()
        changed.reshape(-1)[position] ^= np.uint32(1 << position % 30)
        digests.append(np.asarray(message_digest(key_from_bytes(SECRET), jnp.asarray(changed))))
    for column in np.stack(digests).T:
        assert len(set(column.tolist())) == len(digests)
