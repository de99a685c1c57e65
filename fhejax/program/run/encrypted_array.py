"""Encrypted arrays: one leaf of residues for a whole batch of samples."""

import dataclasses
import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import Ciphertext, Parameters
from fhejax.ckks.checked import validate_object
from fhejax.ckks.memory_maps import taken
from fhejax.ckks.parameters import Scale
from fhejax.ckks.types import check_residues
from fhejax.program.arguments import Normalisation
from fhejax.program.circuit.reading import AffineView
from fhejax.program.packing.layout import Layout
from fhejax.program.run.client import expand_bodies
from fhejax.ring.wide import kernel

if TYPE_CHECKING:
    Array = jax.Array
else:
    Array = Any  # JAX rebuilds pytrees with placeholders in place of arrays


def _static() -> Any:
    return dataclasses.field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class EncryptedArray:
    """An array whose batch axis lies in the slots: one ciphertext for each other entry and block.

    data: uint32 [block, *shape without the batch axis, poly, limb, N], evaluation domain; or a map of such an
    array in a file, from `load(memory_map=True)` or a call whose tiles are in files. Sample i is in slot
    i % slots of block i // slots; what all samples share (batch_axis None) is in all slots of one
    block. key_id: uint32 [4], which secret opens it.
    shape: the logical shape, batch included; samples: how many of the batch are in use. view: of a
    result, whose data is [block, ciphertext, poly, limb, N] and is read through it; else None.
    normalisation: of an argument, whose numbers are its values normalised; else None.
    seeds: of what was encrypted under a secret key and not yet expanded, uint32 [block, *shape without the
    batch axis, 8]: they stand for the uniform halves, and data has the other half alone; else None.
    layout: None where samples lie in slots. Else every block is one sample or a few, data is [block,
    ciphertext, poly, limb, N], and the layout says what lies in its slots: an argument's entries, or, for a
    result, the slots that its view names, of each sample.
    """

    data: Array
    key_id: Array
    view: AffineView | None
    params: Parameters = _static()
    level: int = _static()
    scale: Scale = _static()
    shape: tuple[int, ...] = _static()
    batch_axis: int | None = _static()
    samples: int = _static()
    dtype: Any = _static()
    normalisation: Normalisation | None = dataclasses.field(default=None, metadata={"static": True})
    seeds: Array | None = None
    layout: Layout | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def bytes(self) -> int:
        """The bytes of residues and seeds as they are in memory."""
        return 4 * int(self.data.size + (0 if self.seeds is None else self.seeds.size))

    def expanded(self) -> "EncryptedArray":
        """The same array with its uniform halves drawn from their seeds: twice the bytes.

        A program that is called with seeds expands them itself; this is for arguments of several calls.
        """
        if self.seeds is None:
            return self
        data, seeds = self.data, self.seeds
        bodies = data.reshape(-1, *data.shape[-3:])
        whole = expand_bodies(bodies, seeds.reshape(-1, 8), self.params.level_moduli(self.level))
        return dataclasses.replace(
            self, data=whole.reshape(*data.shape[:-3], 2, *data.shape[-2:]), seeds=None
        )

    def flat(self, block: int | jax.Array) -> Ciphertext:
        """The ciphertexts of one block as a batch, data [entry, poly, limb, N], expanded."""
        first = 0 if self.data.shape[0] == 1 else block
        data, seeds = self.data, self.seeds
        if isinstance(data, np.ndarray):  # of which one block is read
            data, seeds, first = data[first][None], None if seeds is None else seeds[first][None], 0
        data = _expanded_block(data, seeds, jnp.int32(first), self.params.level_moduli(self.level))
        return Ciphertext(data, self.key_id, self.params, self.level, self.scale, "evaluation")

    def flat_blocks(self, numbers: Iterable[int | jax.Array]) -> tuple[Ciphertext, ...]:
        """Some blocks, each as of `flat`."""
        return tuple(map(self.flat, numbers))

    def chosen(self, block: int, entries: np.ndarray) -> Ciphertext:
        """Some ciphertexts of one block as a batch, data [entry, poly, limb, N], expanded.

        Args:
            block: its number.
            entries: which of its ciphertexts, in the order wanted.
        """
        first = 0 if self.data.shape[0] == 1 else block
        data = _entries_of(self.data, first, entries, 3)
        if self.seeds is not None:
            seeds = _entries_of(self.seeds, first, entries, 1)
            data = expand_bodies(data, seeds, self.params.level_moduli(self.level))
        return Ciphertext(data, self.key_id, self.params, self.level, self.scale, "evaluation")

    def __repr__(self) -> str:
        return (
            f"EncryptedArray(shape={self.shape}, samples={self.samples}, "
            f"N=2**{self.params.ring.degree.bit_length() - 1}, level={self.level}/{self.params.depth}, "
            f"scale={self.scale})"
        )


@functools.partial(kernel, static_argnames="moduli")
def _expanded_block(
    data: jax.Array, seeds: jax.Array | None, block: jax.Array, moduli: tuple[int, ...]
) -> jax.Array:
    """One block of [block, *entry axes, poly, limb, N] as [entry, poly, limb, N], expanded without a copy."""
    rows = jax.lax.dynamic_index_in_dim(data, block, keepdims=False)
    rows = rows.reshape(-1, *rows.shape[-3:])
    if seeds is None:
        return rows
    chosen = jax.lax.dynamic_index_in_dim(seeds, block, keepdims=False)
    return expand_bodies(rows, chosen.reshape(-1, chosen.shape[-1]), moduli)


def _entries_of(array: jax.Array | np.ndarray, block: int, entries: np.ndarray, kept: int) -> jax.Array:
    """Some entries of one block of an array, which may lie in a file, on the device."""
    if isinstance(array, np.ndarray):
        return jnp.asarray(taken(array, block, entries, kept))
    return _taken(array, block, entries.astype(np.int32), kept)


@functools.partial(kernel, static_argnames="kept")
def _taken(array: jax.Array, block: int, entries: jax.Array | np.ndarray, kept: int) -> jax.Array:
    """Some entries of one block of an array [block, *entry axes, *the last `kept`], which is not copied."""
    flat = array.reshape(array.shape[0], -1, *array.shape[array.ndim - kept :])
    return flat[block, entries]


@validate_object.register
def _(array: EncryptedArray) -> None:
    check_residues(array.data, array.params.level_moduli(array.level), "the encrypted array")
