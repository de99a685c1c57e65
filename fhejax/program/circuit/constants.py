"""The constants of a circuit: integers, numbers encoded at a scale as residues, and diagonals."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Parameters
from fhejax.ckks.encoding.vector_encoding import encode_for_all_levels
from fhejax.ckks.linear_transform.diagonals import as_words
from fhejax.ckks.linear_transform.transform import extended_residues
from fhejax.ckks.parameters import Scale
from fhejax.program.circuit.lowering.scales import Real
from fhejax.ring.platform import TWO_CORES

_RESIDUE_BYTES = 2**26  # of one map's diagonals, up to which they are held ready for use


@dataclasses.dataclass(frozen=True, eq=False)
class RawSlots:
    """Numbers in slots that are to be encoded: their scale, and primes dropped before.

    values: float64 [slot] of one period, or [ciphertext, slot].
    """

    values: np.ndarray
    scale: Scale
    drops: int

    def encoded(self, params: Parameters, level: int) -> jax.Array:
        """Residues uint32 [ciphertext, limb, N]."""
        vectors = [_repeated(row, params) for row in np.atleast_2d(self.values)]
        rows = (encode_for_all_levels(params, vector, level, self.scale) for vector in vectors)
        limbs = slice(*params.limb_range(level))
        return jnp.asarray(np.stack([np.asarray(row)[limbs] for row in rows]))


@dataclasses.dataclass(frozen=True, eq=False)
class RawDiagonals:
    """Diagonals that are to be encoded: float32 [diagonal, slot] of one period, scale, primes dropped.

    Each is rotated back by its giant step.
    """

    vectors: np.ndarray
    scale: Scale
    drops: int

    def encoded(self, params: Parameters, level: int) -> jax.Array:
        """What `LinearTransform` holds: residues of every prime, or numbers where those take much memory."""
        limbs = len(params.level_moduli(level)) + len(params.special)
        if are_streamed(len(self.vectors), limbs, params.ring.degree):
            return jnp.asarray(as_words(list(self.vectors), self.vectors.shape[1]))
        rows = [_repeated(row, params) for row in self.vectors]
        return extended_residues(params, rows, level, self.scale)


def are_streamed(count: int, limbs: Real, degree: int) -> Any:
    """Whether the diagonals of a map are held as numbers, to be encoded whenever they are used.

    In rings in which levels share kernels all are: residues are those of one level, whose kernels serve no
    other.

    Args:
        count: of diagonals.
        limbs: of Q and P; an array where many settings are looked at.
        degree: of the ring.
    """
    room = _RESIDUE_BYTES if degree < TWO_CORES.blocks.levels_shared_from else 0
    return 4 * count * limbs * degree > room


# Integers as they are, or numbers to be encoded: (numbers, scale, primes dropped before) in all slots alike.
RawConstant = np.ndarray | tuple[np.ndarray, Scale, int] | RawSlots | RawDiagonals


def encode_constants(raw: Sequence[RawConstant], params: Parameters, top: int) -> tuple[jax.Array, ...]:
    """The leaves of a program: integers as they are; numbers at a scale as residues.

    Args:
        raw: the constants in the order in which steps name them.
        params: the parameters whose primes the residues are for.
        top: the level from which the primes that were dropped are counted.

    Returns:
        One array for each constant: int32 as given, uint32 residues [entry, limb] or [.., limb, N], or
        float32 diagonals.
    """
    return tuple(jnp.asarray(_encode_constant(item, params, top)) for item in raw)


def _encode_constant(item: RawConstant, params: Parameters, top: int) -> np.ndarray | jax.Array:
    if isinstance(item, RawSlots | RawDiagonals):
        return item.encoded(params, top - item.drops)
    if not isinstance(item, tuple):
        return item
    values, scale, drops = item
    moduli = params.level_moduli(top - drops)
    factor = scale.fraction()
    integers = [round(float(v) * factor) if v else 0 for v in np.asarray(values).reshape(-1)]
    return np.array([[i % q for q in moduli] for i in integers], np.uint32).reshape(-1, len(moduli))


def _repeated(values: np.ndarray, params: Parameters) -> np.ndarray:
    """One period over and over, in all slots."""
    return np.tile(np.asarray(values, np.float64), params.slots // len(values))
