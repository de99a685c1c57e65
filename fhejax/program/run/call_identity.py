"""The identity of a call: which secret opens its results, and whether its keys are what they should be."""

import dataclasses
from collections.abc import Sequence

import jax

from fhejax.ckks.checked import validate
from fhejax.ckks.keys.generation import RELINEARISATION
from fhejax.ckks.keys.matching import identity_under
from fhejax.ckks.types import common_key_id
from fhejax.program.circuit.steps.call import Keys, evaluation_of
from fhejax.program.run.encrypted_array import EncryptedArray


def identity_of_call(keys: Keys, arguments: Sequence[EncryptedArray]) -> jax.Array:
    """The identity of the secret, uint32 [4], that opens the results; under jit `MIXED` where there is none.

    Args:
        keys: of the call.
        arguments: all encrypted ones, at least one.

    Raises:
        ValueError: keys that were cut; and, when called eagerly, altered residues, keys that were exchanged,
            or keys and arguments of different secrets.
    """
    validate(keys)
    evaluation = evaluation_of(keys)
    used = {} if evaluation.relinearisation is None else {RELINEARISATION: evaluation.relinearisation}
    joined = dataclasses.replace(arguments[0], key_id=common_key_id(*arguments))
    return identity_under(evaluation, joined, used | evaluation.rotations)
