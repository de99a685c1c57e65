"""Ciphertexts times integers, and their sums, entry by entry."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.steps.call import Constants
from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide


def scaled_terms(sources: Sequence[Ciphertext], leaves: Constants, components: int) -> list[jax.Array]:
    """The residues of every source times integers, all with as many components.

    Args:
        sources: the terms, data [entry, component, limb, N].
        leaves: for each its integers' residues, [entry, limb].
        components: that all are to have; missing ones are zero.
    """
    terms = [_scale_entries(source, leaf) for source, leaf in zip(sources, leaves, strict=True)]
    return [jnp.pad(t, [(0, 0), (0, components - t.shape[1]), (0, 0), (0, 0)]) for t in terms]


@kernel
@wide
def _scale_entries(x: Ciphertext, residues: jax.Array) -> jax.Array:
    """The product of each ciphertext with an integer given by its residues [entry, limb]."""
    return modular.multiply(x.data, residues[:, None, :, None], constants(x.moduli))


@functools.partial(kernel, static_argnames="moduli")
@wide
def add_terms(terms: list[jax.Array], moduli: tuple[int, ...]) -> jax.Array:
    """The sum of several arrays of residues [.., limb, N], entry by entry."""
    modulus = constants(moduli).value
    return functools.reduce(lambda x, y: modular.add(x, y, modulus), terms)
