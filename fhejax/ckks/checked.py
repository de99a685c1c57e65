"""Checks that plain `jax.jit` has no place for: of what goes into a function, and inside of it.

Called eagerly, an operation refuses keys and ciphertexts of different secrets, and `encode` what does not
fit. Inside `jax.jit` nothing can be refused: results of what does not belong together get an identity that
`decrypt` refuses, and what does not fit is wrong. Residues that are not below their primes, in a key that was
altered in memory, are not looked for by single operations at all: that would take longer than they do.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.experimental import checkify

from fhejax.ckks.bootstrapping.bootstrap_circuit import BootstrappingKeys
from fhejax.ckks.bootstrapping.encapsulation import TO_DENSE, TO_SPARSE
from fhejax.ckks.identity import is_concrete, matched_identity, switching_identity
from fhejax.ckks.keys.generation import key_moduli
from fhejax.ckks.keys.matching import check_shape, identity_under
from fhejax.ckks.operation import Keys
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    PublicKey,
    SeededCiphertext,
    SwitchingKey,
    check_residues,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def validate(*objects: Any) -> None:
    """Refuse keys, ciphertexts and plaintexts that were altered in memory; reads all of their residues.

    Args:
        *objects: pytrees, in which all of the library's objects are looked at; other leaves are left alone,
            and so is what is being traced.

    Raises:
        ValueError: a residue that is not below its prime, another shape or dtype than parameters and level
            make, or a key in a set that belongs to another secret or was made for another use.
    """
    with jax.ensure_compile_time_eval():  # objects may be closed over by a function under jit
        for leaf in jax.tree.leaves(objects, is_leaf=_is_validated):
            validate_object(leaf)


@functools.singledispatch
def validate_object(_: Any) -> None:
    """Refuse one object that was altered, as `validate`; a further type registers what it checks.

    Objects of no registered type are left alone.
    """


def _is_validated(node: Any) -> bool:
    return validate_object.dispatch(type(node)) is not validate_object.dispatch(object)


@validate_object.register
def _(keys: BootstrappingKeys) -> None:
    sparse = {TO_SPARSE: keys.dense_to_sparse, TO_DENSE: keys.sparse_to_dense}
    for use, key in sparse.items():
        if key is not None:
            validate_object(key)
            _check_use(key, keys.evaluation, use)
    if isinstance(keys.evaluation, EvaluationKeys):
        validate_object(keys.evaluation)


def _check_use(key: SwitchingKey, evaluation: Keys, use: int) -> None:
    if evaluation is not None and is_concrete(key.key_id, evaluation.key_id):
        matched_identity(
            evaluation.key_id,
            switching_identity(key.key_id, use),
            lambda: (
                "a key of sparse-secret encapsulation belongs to another secret key than the evaluation keys "
                "beside it, or lies in the place of the other one; make all with bootstrapping_keys(...)."
            ),
        )


@validate_object.register
def _(keys: EvaluationKeys) -> None:
    relinearisation = {} if keys.relinearisation is None else {0: keys.relinearisation}
    used = {**relinearisation, **keys.rotations}
    for key in used.values():
        validate_object(key)
    if is_concrete(keys.key_id, *(key.key_id for key in used.values())):
        identity_under(keys, keys, used)


@validate_object.register
def _(key: SwitchingKey) -> None:
    check_shape(key)
    check_residues(key.data, key_moduli(key.params, key.level), "a switching key")


@validate_object.register
def _(key: PublicKey) -> None:
    check_residues(key.data, key.params.level_moduli(key.params.depth), "the public key")


@validate_object.register
def _(ciphertext: SeededCiphertext) -> None:
    moduli = ciphertext.params.level_moduli(ciphertext.level)
    check_residues(ciphertext.body, moduli, "the seeded ciphertext")


@validate_object.register
def _(ciphertext: Ciphertext) -> None:
    check_residues(ciphertext.data, ciphertext.moduli, "the ciphertext")


@validate_object.register
def _(plaintext: Plaintext) -> None:
    check_residues(plaintext.data, plaintext.params.level_moduli(plaintext.level), "the plaintext")


def checked(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function with every check that plain `jax.jit` leaves out: slower, and it waits for the result.

    What goes in is looked at by `validate`. What `function` does may be under `jax.jit`, `jax.vmap` or
    `lax.scan`: identities of keys and ciphertexts are compared in every operation, and what is encoded is
    compared with what fits, on the device.

    Args:
        function: of pytrees, such as `jax.jit(circuit)` or a compiled program.

    Returns:
        A function of the same arguments and result, to be called outside of `jax.jit`; the compiled code is
        kept for the next call.

    Raises:
        ValueError: from the returned function, in the words of the check that failed.
    """
    compiled = jax.jit(checkify.checkify(function, errors=checkify.user_checks))

    @functools.wraps(function)
    def run(*arguments: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        validate(arguments, keywords)
        error, result = compiled(*arguments, **keywords)
        message = error.get()
        if message is not None:
            raise ValueError(message.removesuffix(" (`check` failed)"))
        return result

    return run
