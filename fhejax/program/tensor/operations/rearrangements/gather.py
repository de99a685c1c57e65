"""Gathers: entries at positions that are written in the function, in any order, shape and number."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import affine
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(Operation):
    """The entries of the source that are named, with zeros between.

    Attributes:
        entries: int [*shape], each the number of an entry of the source in row-major order, or -1 for zero.
    """

    entries: np.ndarray

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return named_entries(value, self.entries, 0.0)


def named_entries(array: np.ndarray, entries: np.ndarray, fill: float) -> np.ndarray:
    """The entries of an array that are named, and `fill` where an entry is -1."""
    return np.append(array.reshape(-1), np.asarray(fill, array.dtype))[entries]


def gathered(builder: Builder, x: Tensor, entries: np.ndarray) -> Tensor:
    """The entries of a tensor that are named, zero where one is -1."""
    return builder.append(Gather((x.number,), entries.shape, builder.label, entries))


def gather(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive gather, where the positions are written in the function.

    Raises:
        ValueError: positions that are encrypted or a plain argument, or beyond an end where JAX has NaN.
    """
    x, positions = operands[0], fixed_positions(operands[1])
    numbers = jnp.arange(np.prod(x.shape, dtype=np.int64), dtype=jnp.int32).reshape(x.shape)
    entries = lax.gather(
        numbers,
        positions,
        params["dimension_numbers"],
        params["slice_sizes"],
        mode=params["mode"],
        fill_value=-1,
    )
    entries = np.asarray(entries)
    found, fill = gathered(builder, x, entries), params["fill_value"]
    if fill == 0 or (entries >= 0).all():
        return found
    if fill is None or not np.isfinite(fill):
        raise ValueError("indexing beyond the end of an axis, where JAX has NaN; keep positions in the array")
    return affine(builder, found, term=PlainArray(np.where(entries < 0, np.float64(fill), 0.0)))


def fixed_positions(operand: Operand) -> np.ndarray:
    """The positions that an operand holds.

    Raises:
        ValueError: positions that are encrypted, or that a plain argument decides.
    """
    if isinstance(operand, Tensor):
        raise ValueError("indexing by an encrypted position; multiply by an encrypted mask and sum")
    if operand.number is not None:
        raise ValueError("indexing by a plain argument; write positions in the function, or use a mask")
    return operand.array
