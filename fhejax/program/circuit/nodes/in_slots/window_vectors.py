"""The diagonals of a convolution, made of its weights and of masks when they are used."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring.wide import kernel

_AT_ONCE = 128  # diagonals that are made together


def window_vectors(
    leaves: Sequence[Any], start: int, steps: Sequence[tuple[int, int]], result: int
) -> jax.Array:
    """The diagonals of one block, each rotated back by its giant step: float32 [diagonal, slot].

    Entry r of a diagonal is the sum over layers of its weight for the output that lies in slot r, where its
    mask holds the image position that lies there.

    Args:
        leaves: weights float32 [diagonal of all blocks, layer, output]; the number of the mask of each,
            int32 of the same shape; masks float32 [mask, image position]; the output and the image position
            in each slot of each ciphertext of the result, int32 [ciphertext, 2, slot], -1 for none.
        start: the number of the block's first diagonal.
        steps: (giant, baby) of each of its diagonals, modulo the slots.
        result: the number of the result's ciphertext.
    """
    giants = np.array([giant for giant, _ in steps], np.int32)
    parts = []
    for first in range(0, len(giants), _AT_ONCE):
        moved = giants[first : first + _AT_ONCE]
        numbers = np.minimum(start + first + np.arange(_AT_ONCE), len(leaves[0]) - 1).astype(np.int32)
        padded = np.resize(moved, _AT_ONCE)
        parts.append(_made(tuple(leaves), numbers, padded, np.int32(result))[: len(moved)])
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


@kernel
def _made(leaves: tuple[jax.Array, ...], rows: Any, giants: Any, result: Any) -> jax.Array:
    weights, numbers, masks, labels = leaves
    weights, numbers = jnp.take(weights, rows, axis=0), jnp.take(numbers, rows, axis=0)
    own = jnp.take(labels, result, axis=0)
    period = own.shape[-1]
    slots = jnp.mod(jnp.arange(period, dtype=jnp.int32)[None, :] - giants[:, None], np.int32(period))
    outputs, places = jnp.take(own[0], slots), jnp.take(own[1], slots)
    index = jnp.maximum(outputs, 0)[:, None, :]
    held = jnp.take_along_axis(weights, index, axis=2)
    found = masks[jnp.take_along_axis(numbers, index, axis=2), jnp.maximum(places, 0)[:, None, :]]
    return jnp.where(outputs >= 0, (held * found).sum(1), 0.0)
