"""Streams of randomness, each for a single use: derived from a key, a purpose and what the stream masks.

A mask that hides two messages reveals their difference, and an error drawn twice reveals the secret. So no
stream is read from a key as it was given: `derive` makes a new key out of it, the name of the purpose, and
words that stand for what is masked (the identity of a secret, a digest of a message, an exponent).

    label     the first 12 bytes of BLAKE2b of the purpose and of all shapes, as three words
    absorb    (k; w_0, w_1, w_2) -> words 0 to 7 of the ChaCha20 block w_2 of key k and nonce (4, w_0, w_1)
    derive    absorb the label, then the words, three at a time, padded with zeros
    lane i    words 0 to 7 of the ChaCha20 block i of key k and nonce (5, 0, 0)

Absorbing block after block is the cascade construction (Bellare, Canetti and Krawczyk, "Pseudorandom
functions revisited: the cascade construction and its concrete security", 1996): a pseudorandom function where
no input is the beginning of another, which the label makes sure of. Under `jax.vmap` a key that is shared by
all lanes is replaced by one for each lane before, so that even equal messages get streams of their own. What
cannot be told apart are equal messages under one key in two steps of a loop: both ciphertexts are then equal.
"""

import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fhejax.ring.randomness.chacha20 import CHACHA20, KEY_WORDS, blocks
from fhejax.ring.randomness.message_digest import message_digest

ABSORB_DOMAIN, LANE_DOMAIN = 4, 5
_CHUNK = 3  # words that one block absorbs


def derive(key: jax.Array, purpose: str, *bound: jax.Array, message: jax.Array | None = None) -> jax.Array:
    """The ChaCha20 key for one purpose and for what it masks.

    Args:
        key: a typed ChaCha20 key of shape (), which this uses up.
        purpose: what the stream is for; uses that differ in anything static differ in it.
        *bound: uint32 arrays, few words in all: what else the stream depends on.
        message: uint32 [..., N] below 2**30, of any size, on which the stream depends by a digest.

    Returns:
        A typed key of shape (). Equal arguments give equal keys, except in lanes of `jax.vmap`.
    """
    start, hashing = jax.random.split(key)
    parts = [jnp.asarray(array, jnp.uint32).reshape(-1) for array in bound]
    parts += [] if message is None else [message_digest(hashing, message)]
    shapes = [array.shape for array in (*bound, *([] if message is None else [message]))]
    words = jnp.concatenate([_label(f"{purpose}; {shapes}"), *parts])
    padded = jnp.pad(words, (0, -words.size % _CHUNK))
    return jax.random.wrap_key_data(_derive(jax.random.key_data(start), padded), impl=CHACHA20)


def _label(text: str) -> np.ndarray:
    digest = hashlib.blake2b(text.encode(), digest_size=4 * _CHUNK).digest()
    return np.frombuffer(digest, "<u4").astype(np.uint32)


def _absorb(key: jax.Array, chunk: jax.Array) -> tuple[jax.Array, None]:
    nonce = jnp.stack([jnp.uint32(ABSORB_DOMAIN), chunk[0], chunk[1]])
    return blocks(key, chunk[2:], nonce)[0, :KEY_WORDS], None


def _cascade(key: jax.Array, words: jax.Array) -> jax.Array:
    """The key after all words are absorbed, three at a time: uint32 [8] and [3 chunks] to uint32 [8]."""
    return lax.scan(_absorb, key, words.reshape(-1, _CHUNK))[0]


@jax.custom_batching.custom_vmap
def _derive(key: jax.Array, words: jax.Array) -> jax.Array:
    """The cascade over leading axes of both: uint32 [..., 8] and [..., 3 chunks] to uint32 [..., 8]."""
    cascade = _cascade
    for _ in range(key.ndim - 1):
        cascade = jax.vmap(cascade)
    return cascade(key, words)


@_derive.def_vmap
def _derive_in_lanes(
    lanes: int, batched: list[bool], key: jax.Array, words: jax.Array
) -> tuple[jax.Array, bool]:
    """A key that is not mapped over is made into one for each lane: nothing else tells lanes apart."""
    own_key, own_words = batched
    key = key if own_key else _lane_keys(key, lanes)
    words = words if own_words else jnp.broadcast_to(words, (lanes, *words.shape))
    return _derive(key, words), True


def _lane_keys(key: jax.Array, lanes: int) -> jax.Array:
    """The key of each lane: uint32 [..., 8] to uint32 [lane, ..., 8]."""
    nonce = jnp.array([LANE_DOMAIN, 0, 0], jnp.uint32)
    counters = lax.iota(np.uint32, lanes)
    keys = jax.vmap(partial(blocks, counters=counters, nonce=nonce))(key.reshape(-1, KEY_WORDS))
    return jnp.moveaxis(keys[..., :KEY_WORDS], 1, 0).reshape(lanes, *key.shape)
