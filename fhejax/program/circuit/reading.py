"""How a result is read from its ciphertexts, as arrays: leaves of a program, no part of what is static."""

import dataclasses
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.program.circuit.graph import Output
from fhejax.program.circuit.views import View

if TYPE_CHECKING:
    Array = jax.Array
else:
    Array = Any  # JAX rebuilds pytrees with placeholders in place of arrays


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AffineView:
    """The way in which a result reads its ciphertexts: multiplier * ciphertext[entries] + offset.

    Three arrays of the result's shape without its batch axis, int32 and float64; an entry of -1 reads
    zero. Nothing in it is secret: it follows from the program and its plain arguments.
    """

    entries: Array
    multiplier: Array
    offset: Array


Reading = AffineView | jax.Array  # of an encrypted result, or a plain result itself


def reading_of(output: Output, period: int = 1, slots: int = 1) -> Reading:
    """The reading of one result of a circuit.

    Args:
        output: the result.
        period: where entries are slots, that of the circuit, ciphertext after ciphertext.
        slots: of the ring, which holds each period over and over.
    """
    view = output.value
    if not isinstance(view, View):
        return jnp.asarray(view)
    with jax.enable_x64(True):  # in 32 bits a multiplier of 1e40 or 1e-50 would be infinite or zero
        return AffineView(
            jnp.asarray(_in_ring(view.entries, period, slots).astype(np.int32)),
            jnp.asarray(view.multiplier.astype(np.float64)),
            jnp.asarray(view.offset.astype(np.float64)),
        )


def _in_ring(entries: np.ndarray, period: int, slots: int) -> np.ndarray:
    """The numbers of slots in a ring of more than one period."""
    moved = entries // period * slots + entries % period
    return np.where(entries < 0, entries, moved)
