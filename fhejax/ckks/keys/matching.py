"""The switching keys of an operation, found and checked before they touch a ciphertext."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fhejax.ckks.identity import matched_identity, switching_identity
from fhejax.ckks.keys.generation import RELINEARISATION, key_digits, key_moduli, rotation_steps
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.types import EvaluationKeys, SwitchingKey, check_same_parameters, common_key_id


def find_keys(keys: EvaluationKeys, ciphertext: Any, exponents: Sequence[int]) -> dict[int, SwitchingKey]:
    """The key of each exponent, 0 for relinearisation, of the ciphertext's level or a higher one.

    Args:
        keys: the set.
        ciphertext: has a level and parameters.
        exponents: of automorphisms X -> X^exponent.

    Raises:
        ValueError: other parameters, or keys that are missing or of a lower level: all are named.
    """
    check_same_parameters(keys, ciphertext)
    held = ((exponent, held_key(keys, exponent)) for exponent in exponents)
    found = {e: key for e, key in held if key is not None and key.level >= ciphertext.level}
    missing = [e for e in exponents if e not in found]
    if missing:
        say = _one_is_missing if len(missing) == 1 else _several_are_missing
        raise ValueError(say(keys, ciphertext.level, missing))
    return found


def held_key(keys: EvaluationKeys, exponent: int) -> SwitchingKey | None:
    """The key of an exponent, 0 for relinearisation, of whatever level, or None."""
    return keys.relinearisation if exponent == RELINEARISATION else keys.rotations.get(exponent)


def _one_is_missing(keys: EvaluationKeys, level: int, missing: Sequence[int]) -> str:
    exponent, params = missing[0], keys.params
    key = held_key(keys, exponent)
    have = "none" if key is None else f"one for level {key.level} and below"
    if exponent == RELINEARISATION:
        name, call = "relinearisation", "relinearise=True"
    else:
        name, call = _described(params, exponent)
        have += f" (they have {', '.join(_names(keys)) or 'no rotation keys'})"
        call += f", level={level}"
    return (
        f"{name} at level {level} needs its key, and these evaluation keys have {have}; make them with "
        f"evaluation_keys(key, secret, {call})."
    )


def _several_are_missing(keys: EvaluationKeys, level: int, missing: Sequence[int]) -> str:
    params = keys.params
    steps = [rotation_steps(params, exponent) for exponent in missing]
    distances = ", ".join(str(step) for step in steps if step)
    tuple_of = f"({distances},)" if distances.count(",") == 0 else f"({distances})"
    others = "" if all(steps) else " and conjugation"
    call = f"rotations={tuple_of}" + ", conjugate=True" * bool(others)
    return (
        f"an operation at level {level} needs the keys of {len(missing)} more rotations, by {distances}"
        f"{others}; these evaluation keys have {', '.join(_names(keys)) or 'no rotation keys'}. Make them "
        f"with evaluation_keys(key, secret, {call}, level={level})."
    )


def _names(keys: EvaluationKeys) -> Iterable[str]:
    """The rotations of a set in words, with the level of those that are not for all."""
    for exponent, key in keys.rotations.items():
        up_to = "" if key.level == keys.params.depth else f" up to level {key.level}"
        yield _described(keys.params, exponent)[0] + up_to


def _described(params: Parameters, exponent: int) -> tuple[str, str]:
    """The automorphism in words, and the argument that makes its key."""
    steps = rotation_steps(params, exponent)
    if not steps:
        return "conjugation", "conjugate=True"
    return f"rotation by {steps}", f"rotations=({steps},)"


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
