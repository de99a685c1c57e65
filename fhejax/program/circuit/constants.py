"""The constants of a circuit: integers, and numbers encoded at a scale as residues."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Parameters
from fhejax.ckks.parameters import Scale

# Integers as they are, or (numbers, scale, primes dropped before) to be encoded.
RawConstant = np.ndarray | tuple[np.ndarray, Scale, int]


def encode_constants(raw: Sequence[RawConstant], params: Parameters, top: int) -> tuple[jax.Array, ...]:
    """The leaves of a program: integers as they are; numbers at a scale as residues [entry, limb].

    Args:
        raw: the constants in the order in which steps name them.
        params: the parameters whose primes the residues are for.
        top: the level from which the primes that were dropped are counted.

    Returns:
        One array for each constant: int32 as given, or uint32 residues.
    """
    return tuple(jnp.asarray(_encode_constant(item, params, top)) for item in raw)


def _encode_constant(item: RawConstant, params: Parameters, top: int) -> np.ndarray:
    if not isinstance(item, tuple):
        return item
    values, scale, drops = item
    moduli = params.level_moduli(top - drops)
    factor = scale.fraction()
    integers = [round(float(v) * factor) if v else 0 for v in np.asarray(values).reshape(-1)]
    return np.array([[i % q for q in moduli] for i in integers], np.uint32).reshape(-1, len(moduli))
