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


def reading_of(output: Output) -> Reading:
    """The reading of one result of a circuit."""
    view = output.value
    if not isinstance(view, View):
        return jnp.asarray(view)
    with jax.enable_x64(True):  # in 32 bits a multiplier of 1e40 or 1e-50 would be infinite or zero
        return AffineView(
            jnp.asarray(view.entries.astype(np.int32)),
            jnp.asarray(view.multiplier.astype(np.float64)),
            jnp.asarray(view.offset.astype(np.float64)),
        )
