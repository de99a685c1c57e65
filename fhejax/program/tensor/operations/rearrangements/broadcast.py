"""Broadcasts: entries repeated along new axes, or along axes of size one."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.rearrangements.reshape import reshaped


@dataclasses.dataclass(frozen=True, eq=False)
class Broadcast(Operation):
    """The source repeated along axes it lacks or has with size one; its axis i is axes[i] of the result."""

    axes: tuple[int, ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return broadcast_array(value, self.shape, self.axes)


def broadcast_array(array: np.ndarray, shape: Sequence[int], axes: Sequence[int]) -> np.ndarray:
    """The view of an array that is repeated; its axis i is axes[i] of the result.

    Args:
        array: what is repeated.
        shape: of the result.
        axes: one for each axis of the array, ascending.
    """
    expanded = [1] * len(shape)
    for size, axis in zip(array.shape, axes, strict=True):
        expanded[axis] = size
    return np.broadcast_to(array.reshape(expanded), shape)


def broadcast(builder: Builder, x: Tensor, shape: tuple[int, ...], axes: tuple[int, ...]) -> Tensor:
    """The tensor repeated, its axis i as axes[i] of the result."""
    return builder.append(Broadcast((x.number,), shape, builder.label, axes))


def broadcast_in_dim(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive broadcast_in_dim."""
    x = operands[0]
    shape, axes = (tuple(map(int, params[name])) for name in ("shape", "broadcast_dimensions"))
    return broadcast(builder, x, shape, axes)


def expand_dims(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive expand_dims."""
    (x,) = operands
    return with_new_axes(builder, x, tuple(map(int, params["dimensions"])))


def with_new_axes(builder: Builder, x: Tensor, new: tuple[int, ...]) -> Tensor:
    """The tensor with axes of size one in these places of the result."""
    axes = tuple(d for d in range(len(x.shape) + len(new)) if d not in new)
    sizes = iter(x.shape)
    shape = tuple(1 if d in new else next(sizes) for d in range(len(x.shape) + len(new)))
    return broadcast(builder, x, shape, axes)


def tile(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive tile: a broadcast along a new axis before each that is repeated, and a reshape."""
    (x,) = operands
    repeats = tuple(map(int, params["reps"]))
    shape, axes = [], []
    for size, count in zip(x.shape, repeats, strict=True):
        shape.extend([count, size] if count != 1 else [size])
        axes.append(len(shape) - 1)
    wide = broadcast(builder, x, tuple(shape), tuple(axes))
    return reshaped(builder, wide, tuple(n * size for n, size in zip(repeats, x.shape, strict=True)))
