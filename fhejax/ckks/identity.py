"""Identities: which secret opens what, and what a key switches, followed through every operation.

They guard against mistakes, not against an adversary, who writes into a file what they like. Called eagerly,
an operation refuses what does not belong together. Under `jax.jit`, where nothing can be refused, the result
gets the identity `MIXED`, which no secret has, so that `decrypt` refuses it; `ckks.checked` reports it.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import checkify

KEY_ID_WORDS = 4
MIXED = np.full(KEY_ID_WORDS, 0xFFFFFFFF, np.uint32)


@functools.cache
def _use_words(use: int) -> np.ndarray:
    """Four words that stand for what a switching key is for."""
    digest = hashlib.blake2b(f"fhejax switching key {use}".encode(), digest_size=4 * KEY_ID_WORDS).digest()
    return np.frombuffer(digest, "<u4").astype(np.uint32)


def switching_identity(key_id: Any, use: int) -> Any:
    """The identity of a switching key, uint32 [..., 4], from that of its secret and what it is for; and back.

    Args:
        key_id: uint32 [..., 4], of the secret key; or of the switching key, for that of its secret.
        use: the exponent of an automorphism, 0 for relinearisation, or a negative number for the keys of
            sparse-secret encapsulation.
    """
    return (np.asarray(key_id) if is_concrete(key_id) else key_id) ^ _use_words(use)


def is_concrete(*arrays: Any) -> bool:
    """Whether values can be looked at: no argument is being traced."""
    return not any(isinstance(array, Tracer) for array in arrays)


def matched_identity(found: Any, expected: Any, sentence: Callable[[], str]) -> Any:
    """`found`, uint32 [..., 4], where it is equal to what is expected, else `MIXED`.

    Args:
        found: of what goes on.
        expected: of what it has to belong to.
        sentence: of what is wrong where both differ, and the way out; made only then, or under jit.

    Raises:
        ValueError: when called eagerly with identities that differ.
    """
    if found is expected:
        return found
    if is_concrete(found, expected):
        if (np.asarray(found) != np.asarray(expected)).any():
            raise ValueError(sentence())
        return found
    equal = jnp.all(jnp.equal(found, expected), -1, keepdims=True)
    checkify.debug_check(jnp.all(equal), sentence())
    return jnp.where(equal, found, MIXED)
