"""Whether switching keys are those that an operation takes them for, before they touch a ciphertext."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fhejax.ckks.identity import matched_identity, switching_identity
from fhejax.ckks.keys.generation import RELINEARISATION, key_digits, key_moduli
from fhejax.ckks.types import EvaluationKeys, SwitchingKey, common_key_id


def identity_under(keys: EvaluationKeys, ciphertext: Any, used: Mapping[int, SwitchingKey]) -> jax.Array:
    """The identity, uint32 [4], of what becomes of a ciphertext under some of these evaluation keys.

    Args:
        keys: the set.
        ciphertext: has a key_id.
        used: the keys of the set in use, by the exponent of their automorphism, 0 for relinearisation.

    Raises:
        ValueError: a key of another shape than its level makes; and, when called eagerly, keys of another
            secret than the ciphertext's, or one that was made for another use than the set names.
    """
    identity = common_key_id(ciphertext, keys)
    for use, key in used.items():
        check_shape(key)
        expected = switching_identity(key.key_id, use)
        identity = matched_identity(identity, expected, functools.partial(_of_another_use, use))
    return identity


def _of_another_use(use: int) -> str:
    name = "relinearisation" if use == RELINEARISATION else f"the automorphism X -> X^{use}"
    return (
        f"the key of {name} among the evaluation keys belongs to another secret key, or was made for another "
        f"use; the set was altered: make it again with evaluation_keys(key, secret, ...)."
    )


def check_shape(key: SwitchingKey) -> None:
    """Refuse a switching key without some of its digits or limbs, under jit too.

    Raises:
        ValueError: another shape or dtype than its parameters and level make.
    """
    params, level = key.params, key.level
    digits, limbs = len(key_digits(params, level)), len(key_moduli(params, level))
    expected = (digits, 2, limbs, params.ring.degree)
    if key.data.shape[-4:] != expected or key.data.dtype != jnp.uint32:
        raise ValueError(
            f"a switching key of level {level} holds {key.data.dtype} of shape {key.data.shape}, where its "
            f"parameters make uint32 of shape {expected}; it was cut or altered: make or load it again."
        )
