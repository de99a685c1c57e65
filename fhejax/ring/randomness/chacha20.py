"""ChaCha20 (RFC 8439) as a JAX key type: 256-bit keys for everything that must be unpredictable.

JAX's own keys hold 64 bits and their generators are not meant for cryptography. A key made here
is an ordinary typed key: `jax.random.split`, `fold_in`, `bits` and the samplers built on them, jit,
vmap and JAX's key-reuse checker all apply.

Everything is a piece of one keystream, defined so that any other ChaCha20 can reproduce it. The
key is eight words, the little-endian reading of its 32 bytes. `keystream(key, nonce)` is RFC 8439's
stream of 32-bit words: blocks of 16 words, block counter from 0. With nonces as three words,

    bits, width w    words of nonce (1, w, 0); 8- and 16-bit outputs are the bytes and half-words
                     of a word and 64-bit ones two words, least significant first
    split            child i is words 8i to 8i + 7 of nonce (2, 0, 0)
    fold_in(data)    words 0 to 7 of nonce (3, data, 0)

so no block serves two purposes, and going from a child back to its parent means inverting ChaCha20.
As with every JAX key, `repr` shows the words: never log a key.
"""

import math
import secrets
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.extend.random import define_prng_impl

from fhejax.ring.platform import TWO_CORES, accelerator
from fhejax.ring.wide import kernel

KEY_BYTES = 32
KEY_WORDS = KEY_BYTES // 4
BLOCK_WORDS = 16
MAXIMUM_BLOCKS = 1 << 32
SMALL_BLOCKS = 16

CONSTANTS = np.frombuffer(b"expand 32-byte k", dtype="<u4").astype(np.uint32)
BITS_DOMAIN, SPLIT_DOMAIN, FOLD_DOMAIN = 1, 2, 3

Rows = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def _rotate_left(words: jax.Array, count: int) -> jax.Array:
    return (words << np.uint32(count)) | (words >> np.uint32(32 - count))


def _quarter_round(a: jax.Array, b: jax.Array, c: jax.Array, d: jax.Array) -> Rows:
    """The quarter round of RFC 8439, section 2.1, on whole rows: four of them at once."""
    a = a + b
    d = _rotate_left(d ^ a, 16)
    c = c + d
    b = _rotate_left(b ^ c, 12)
    a = a + b
    d = _rotate_left(d ^ a, 8)
    c = c + d
    b = _rotate_left(b ^ c, 7)
    return a, b, c, d


def _exchange(row: jax.Array, index: int) -> jax.Array:
    """Entry i becomes entry index - i (mod 4): its own inverse."""
    sources = [(index - i) % 4 for i in range(4)]
    return lax.concatenate([lax.slice_in_dim(row, source, source + 1) for source in sources], 0)


def _round(_: int, rows: Rows) -> Rows:
    """A column round, then the exchange that turns diagonals into columns and back.

    Row r shifted by r puts a diagonal into a column. Read in reverse as well, the shift becomes an
    involution, and twenty equal rounds are ten double rounds of the RFC. XLA's CPU backend fuses
    one output at a time and so repeats shared work in each: the shorter the loop body, the less.
    """
    a, b, c, d = _quarter_round(*rows)
    return _exchange(a, 0), _exchange(b, 1), _exchange(c, 2), _exchange(d, 3)


def _initial_rows(key: jax.Array, counters: jax.Array, nonce: jax.Array) -> Rows:
    spread = partial(lax.broadcast_in_dim, shape=(4, counters.size), broadcast_dimensions=(0,))
    nonces = lax.broadcast_in_dim(nonce, (3, counters.size), (0,))
    counted = jnp.concatenate([counters[None], nonces])
    return spread(jnp.asarray(CONSTANTS)), spread(key[:4]), spread(key[4:]), counted


def blocks(key: jax.Array, counters: jax.Array, nonce: jax.Array) -> jax.Array:
    """The ChaCha20 block function (RFC 8439, section 2.3).

    `key` is uint32[8], `counters` uint32[count], `nonce` uint32[3]; the result is uint32[count, 16]
    with the words of each block in the order in which the RFC serialises them.
    """
    start = _initial_rows(key, counters, nonce)
    end = lax.fori_loop(0, 20, _round, start)
    return jnp.concatenate([a + b for a, b in zip(start, end, strict=True)]).T


def _chunked(key: jax.Array, nonce: jax.Array, words: int, largest: int) -> jax.Array:
    """The stream, made in equal chunks of at most `largest` blocks."""
    count = max(1, -(-words // BLOCK_WORDS))
    if count <= SMALL_BLOCKS:
        return blocks(key, lax.iota(np.uint32, count), nonce).reshape(-1)[:words]
    chunks = -(-count // largest)
    size = -(-count // chunks)

    def chunk(index: jax.Array) -> jax.Array:
        return blocks(key, index * np.uint32(size) + lax.iota(np.uint32, size), nonce)

    return lax.map(chunk, lax.iota(np.uint32, chunks)).reshape(-1)[:words]


@partial(kernel, static_argnames="words")
def keystream(key: jax.Array, nonce: jax.Array, words: int) -> jax.Array:
    """The first `words` words of the stream of `key` (uint32[8]) and `nonce` (uint32[3]).

    Needs at most the result again in memory. Refuses more than 2^32 blocks, after which the
    counter would start again.
    """
    if words > MAXIMUM_BLOCKS * BLOCK_WORDS:
        raise ValueError(
            f"{words} words were asked of one ChaCha20 key, whose counter ends after "
            f"{MAXIMUM_BLOCKS} blocks of {BLOCK_WORDS} words; split the key and draw a part of "
            "the words with each child."
        )
    smaller = TWO_CORES.blocks.keystream_blocks
    if words <= smaller * BLOCK_WORDS:
        return _chunked(key, nonce, words, smaller)
    return lax.platform_dependent(
        key,
        nonce,
        cpu=partial(_chunked, words=words, largest=smaller),
        default=partial(_chunked, words=words, largest=accelerator().blocks.keystream_blocks),
    )


def _nonce(domain: int, detail: int | jax.Array) -> jax.Array:
    first, last = jnp.uint32(domain), jnp.uint32(0)
    return jnp.stack([first, jnp.asarray(detail, dtype=np.uint32), last])


def _seed(_: jax.Array) -> jax.Array:
    raise ValueError(
        "A ChaCha20 key was asked for by an integer seed, which holds at most 64 bits; 256 bits "
        "from the operating system are needed: use random_key(), or key_from_bytes() for 32 bytes "
        "that are secret and uniformly random already."
    )


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    words = KEY_WORDS * math.prod(shape)
    return keystream(key, _nonce(SPLIT_DOMAIN, 0), words).reshape(*shape, KEY_WORDS)


def _fold_in(key: jax.Array, data: int | jax.Array) -> jax.Array:
    return keystream(key, _nonce(FOLD_DOMAIN, data), KEY_WORDS)


def _random_bits(key: jax.Array, width: int, shape: tuple[int, ...]) -> jax.Array:
    size = math.prod(shape)
    words = keystream(key, _nonce(BITS_DOMAIN, width), -(-size * width // 32))
    if width == 64:
        return lax.bitcast_convert_type(words.reshape(size, 2), np.uint64).reshape(shape)
    if width < 32:
        words = lax.bitcast_convert_type(words, np.dtype(f"uint{width}")).reshape(-1)[:size]
    return words.reshape(shape)


CHACHA20 = define_prng_impl(
    key_shape=(KEY_WORDS,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name="fhejax_chacha20",
    tag="fhejax_chacha20",
)


def key_from_bytes(secret: bytes) -> jax.Array:
    """The typed ChaCha20 key, of shape (), that is these 32 bytes (read little-endian).

    The bytes have to be secret and uniformly random, or the public seed of an expansion: nothing
    is stretched or hashed. Raises TypeError for what is not bytes, ValueError for other lengths.
    """
    if not isinstance(secret, bytes | bytearray | memoryview):
        raise TypeError(
            f"A ChaCha20 key was asked for from {type(secret).__name__}; bytes are needed: "
            "use random_key() for a fresh key."
        )
    if len(bytes(secret)) != KEY_BYTES:
        raise ValueError(
            f"A ChaCha20 key was asked for from {len(bytes(secret))} bytes; exactly {KEY_BYTES} "
            "are needed: use random_key() for a fresh key."
        )
    words = np.frombuffer(bytes(secret), dtype="<u4").astype(np.uint32)
    return jax.random.wrap_key_data(jnp.asarray(words), impl=CHACHA20)


def random_key() -> jax.Array:
    """A fresh typed ChaCha20 key, of shape (): 256 bits of the operating system's entropy.

    Raises:
        RuntimeError: while JAX traces a function (jit, lax.map, lax.scan, pmap ...), where the key would
            become a constant of the compiled code, the same in every run.
    """
    if isinstance(jnp.zeros((), np.uint32), Tracer):
        raise RuntimeError(
            "random_key() was called while JAX traces a function, as inside jax.jit, lax.map or lax.scan; "
            "the key would become a constant of the compiled code and repeat in each of its runs: draw keys "
            "outside, and pass them in as arguments (jax.random.split makes one for each step)."
        )
    return key_from_bytes(secrets.token_bytes(KEY_BYTES))
