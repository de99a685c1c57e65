"""ChaCha20 against RFC 8439 and an independent implementation in Python integers."""

import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax.ring.platform import DEVICES, TWO_CORES
from fhejax.ring.randomness import chacha20
from fhejax.ring.randomness.chacha20 import key_from_bytes, keystream, random_key

CHUNK = TWO_CORES.blocks.keystream_blocks

SECRET = bytes(range(32))


def python_block(secret: bytes, counter: int, nonce: tuple[int, int, int]) -> list[int]:
    """One block in Python integers, written after RFC 8439, section 2.3.1."""
    start = [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", secret)]
    start += [counter, *nonce]
    state = list(start)

    def step(x: int, y: int, z: int, amount: int) -> None:
        state[x] = (state[x] + state[y]) % 2**32
        mixed = state[z] ^ state[x]
        state[z] = (mixed << amount | mixed >> (32 - amount)) % 2**32

    for round_index in range(20):
        shift = round_index % 2
        for i in range(4):
            a, b, c, d = (4 * row + (i + shift * row) % 4 for row in range(4))
            step(a, b, d, 16)
            step(c, d, b, 12)
            step(a, b, d, 8)
            step(c, d, b, 7)
    return [(x + y) % 2**32 for x, y in zip(state, start, strict=True)]


def python_stream(secret: bytes, nonce: tuple[int, int, int], words: int) -> list[int]:
    stream = [w for i in range(-(-words // 16)) for w in python_block(secret, i, nonce)]
    return stream[:words]


def data_of(key: jax.Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))


def words_of(text: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(text), "<u4").astype(np.uint32)


# (key, counter, nonce, block) of RFC 8439, section 2.3.2, section 2.4.2 (first and second block)
# and appendix A.1, test vectors 1, 2 and 4.
RFC_BLOCKS = {
    "2.3.2": (
        SECRET.hex(),
        1,
        "000000090000004a00000000",
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e",
    ),
    "2.4.2 first": (
        SECRET.hex(),
        1,
        "000000000000004a00000000",
        "224f51f3401bd9e12fde276fb8631ded8c131f823d2c06e27e4fcaec9ef3cf78"
        "8a3b0aa372600a92b57974cded2b9334794cba40c63e34cdea212c4cf07d41b7",
    ),
    "2.4.2 second": (
        SECRET.hex(),
        2,
        "000000000000004a00000000",
        "69a6749f3f630f4122cafe28ec4dc47e26d4346d70b98c73f3e9c53ac40c5945"
        "398b6eda1a832c89c167eacd901d7e2bf363740373201aa188fbbce83991c4ed",
    ),
    "A.1 first": (
        "00" * 32,
        0,
        "00" * 12,
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586",
    ),
    "A.1 second": (
        "00" * 32,
        1,
        "00" * 12,
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
    ),
}


@pytest.mark.parametrize("name", RFC_BLOCKS)
def test_block_function_matches_the_rfc(name):
    key, counter, nonce, expected = RFC_BLOCKS[name]
    counters = jnp.array([counter], jnp.uint32)
    block = chacha20.blocks(jnp.asarray(words_of(key)), counters, jnp.asarray(words_of(nonce)))
    assert np.array_equal(np.asarray(block)[0], words_of(expected))
    assert python_block(bytes.fromhex(key), counter, tuple(words_of(nonce).tolist())) == (
        words_of(expected).tolist()
    )


def test_block_function_at_the_last_counters():
    counters = [0, 1, 2**31, 2**32 - 1]
    key, nonce = jnp.asarray(words_of(SECRET.hex())), (7, 2**32 - 1, 3)
    result = chacha20.blocks(key, jnp.array(counters, jnp.uint32), jnp.array(nonce, jnp.uint32))
    assert np.asarray(result).tolist() == [python_block(SECRET, c, nonce) for c in counters]


@pytest.mark.parametrize("width", [8, 16, 32])
def test_bits_are_the_documented_stream(width):
    dtype = np.dtype(f"uint{width}")
    expected = np.array(python_stream(SECRET, (1, width, 0), 40), "<u4").view(dtype)
    for size in (0, 1, 3, 17, 40):
        drawn = jax.random.bits(key_from_bytes(SECRET), (size,), dtype)
        assert drawn.dtype == dtype
        assert np.array_equal(np.asarray(drawn), expected[:size])
    assert jax.random.bits(key_from_bytes(SECRET), (), dtype) == expected[0]
    grid = jax.random.bits(key_from_bytes(SECRET), (3, 5), dtype)
    assert np.array_equal(np.asarray(grid), expected[:15].reshape(3, 5))


def test_64_bit_words_where_they_exist():
    expected = np.array(python_stream(SECRET, (1, 64, 0), 10), "<u4").view(np.uint64)
    with jax.enable_x64(True):
        drawn = jax.random.bits(key_from_bytes(SECRET), (5,), np.uint64)
        narrow = jax.random.bits(key_from_bytes(SECRET), (5,), np.uint32)
    assert np.array_equal(np.asarray(drawn), expected)
    assert np.asarray(narrow).tolist() == python_stream(SECRET, (1, 32, 0), 5)


def test_split_and_fold_in_are_the_documented_stream():
    stream = python_stream(SECRET, (2, 0, 0), 48)
    children = jax.random.split(key_from_bytes(SECRET), (2, 3))
    assert children.shape == (2, 3)
    assert data_of(children).reshape(-1).tolist() == stream
    for data in (0, 1, 2**31, 2**32 - 1):
        child = jax.random.fold_in(key_from_bytes(SECRET), np.uint32(data))
        assert data_of(child).tolist() == python_stream(SECRET, (3, data, 0), 8)


@pytest.mark.parametrize("count", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3])
def test_chunk_edges(count):
    """Blocks on both sides of every seam, and no block twice."""
    nonce = (1, 32, 0)
    words = 16 * count - 5
    stream = np.asarray(keystream(jnp.asarray(words_of(SECRET.hex())), jnp.array(nonce, jnp.uint32), words))
    assert stream.shape == (words,)
    padded = np.append(stream, np.zeros(5, np.uint32)).reshape(count, 16)
    seams = {0, 1, count - 2, *range(count // 2 - 2, count // 2 + 3)}
    seams |= {i for s in (CHUNK, -(-count // 3), -(-2 * count // 3)) for i in (s - 1, s)}
    for index in seams & set(range(count - 1)):
        assert padded[index].tolist() == python_block(SECRET, index, nonce), index
    assert padded[-1, :11].tolist() == python_block(SECRET, count - 1, nonce)[:11]
    assert len(np.unique(padded[:, :2].astype(np.uint64) @ np.uint64([1, 2**32]))) == count


def test_chunk_size_changes_nothing():
    key, nonce = jnp.asarray(words_of(SECRET.hex())), jnp.array((1, 32, 0), jnp.uint32)
    expected = python_stream(SECRET, (1, 32, 0), 333)
    for largest in (1, 2, 5, 20, 21, DEVICES["h200"].blocks.keystream_blocks):
        assert chacha20._chunked(key, nonce, 333, largest).tolist() == expected


def test_domains_share_no_block():
    parts = [
        np.asarray(jax.random.bits(key_from_bytes(SECRET), (64,), np.uint32)),
        np.asarray(jax.random.bits(key_from_bytes(SECRET), (128,), np.uint16)).view(np.uint32),
        np.asarray(jax.random.bits(key_from_bytes(SECRET), (256,), np.uint8)).view(np.uint32),
        data_of(jax.random.split(key_from_bytes(SECRET), 8)).reshape(-1),
        *(data_of(jax.random.fold_in(key_from_bytes(SECRET), i)) for i in range(8)),
        words_of(SECRET.hex()),
    ]
    words = np.concatenate(parts)
    assert len(np.unique(words)) == len(words)


def test_descendants_are_distinct():
    root = key_from_bytes(SECRET)
    children = jax.random.split(root, 500)
    folded = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(root, jnp.arange(500))
    grandchildren = jax.vmap(lambda key: jax.random.split(key, 4))(children[:100])
    both = jax.vmap(lambda key: jax.random.fold_in(key, 1))(folded[:100])
    every = [data_of(keys).reshape(-1, 8) for keys in (children, folded, grandchildren, both)]
    assert len(np.unique(np.concatenate(every), axis=0)) == 1500


def test_vmap_is_a_loop_and_jit_is_plain():
    keys = jax.random.split(key_from_bytes(SECRET), 3)
    words = jax.random.key_data(keys)

    def draw(key):
        first, second = jax.random.split(jax.random.fold_in(key, 5))
        bits = jax.random.bits(first, (2, 9), np.uint16)
        return bits, jax.random.bits(second, (16 * CHUNK + 1,), np.uint32)

    def copy(index):
        return jax.random.wrap_key_data(words[index], impl=chacha20.CHACHA20)

    mapped = [np.asarray(part) for part in jax.vmap(draw)(keys)]
    for index in range(3):
        plain, jitted = draw(copy(index)), jax.jit(draw)(copy(index))
        for whole, one, compiled in zip(mapped, plain, jitted, strict=True):
            assert np.array_equal(whole[index], one)
            assert np.array_equal(whole[index], compiled)


def test_jax_distributions_apply():
    drawn = jax.random.normal(key_from_bytes(SECRET), (20_000,))
    assert abs(float(drawn.mean())) < 0.03
    assert abs(float(drawn.std()) - 1) < 0.03


def test_reuse_is_caught():
    key = key_from_bytes(SECRET)
    jax.random.bits(key, (4,))
    with pytest.raises(jax.errors.KeyReuseError):
        jax.random.split(key)


def test_a_wrapping_counter_is_refused():
    key, nonce = jnp.zeros(8, jnp.uint32), jnp.zeros(3, jnp.uint32)
    largest = 2**32 * 16
    assert jax.eval_shape(lambda: keystream(key, nonce, largest)).shape == (largest,)
    with pytest.raises(ValueError, match="counter ends after 4294967296 blocks"):
        jax.eval_shape(lambda: keystream(key, nonce, largest + 1))


def test_large_requests_need_no_more_than_twice_their_size():
    key, nonce = jnp.zeros(8, jnp.uint32), jnp.zeros(3, jnp.uint32)
    words = 100_000_001
    memory = keystream.lower(key, nonce, words).compile().memory_analysis()
    assert memory.output_size_in_bytes >= 4 * words
    assert memory.temp_size_in_bytes < 1.05 * 4 * words


def test_integer_seeds_are_refused():
    with pytest.raises(ValueError, match=r"use random_key\(\)"):
        jax.random.key(0, impl=chacha20.CHACHA20)


def test_key_from_bytes_reads_little_endian_and_checks():
    assert data_of(key_from_bytes(SECRET))[0] == 0x03020100
    assert np.array_equal(data_of(key_from_bytes(bytearray(SECRET))), words_of(SECRET.hex()))
    for length in (0, 31, 33):
        with pytest.raises(ValueError, match=f"from {length} bytes; exactly 32"):
            key_from_bytes(bytes(length))
    for wrong in (32, "0" * 32, np.zeros(8, np.uint32)):
        with pytest.raises(TypeError, match="bytes are needed"):
            key_from_bytes(wrong)


def test_random_keys_take_256_bits_from_the_operating_system(monkeypatch):
    asked = []

    def token_bytes(count):
        asked.append(count)
        return SECRET

    assert len({data_of(random_key()).tobytes() for _ in range(100)}) == 100
    with monkeypatch.context() as patch:
        patch.setattr(chacha20.secrets, "token_bytes", token_bytes)
        assert data_of(random_key()).tolist() == words_of(SECRET.hex()).tolist()
    assert asked == [32]
    assert "fhejax_chacha20" in str(random_key().dtype)
