"""Slices: entries in even steps between two bounds along each axis."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.rearrangements.gather import fixed_positions


@dataclasses.dataclass(frozen=True, eq=False)
class Slice(Operation):
    """The entries from `starts` to before `limits` in steps of `strides`, along each axis."""

    starts: tuple[int, ...]
    limits: tuple[int, ...]
    strides: tuple[int, ...]

    def index(self) -> tuple[slice, ...]:
        """The slice along each axis."""
        return tuple(map(slice, self.starts, self.limits, self.strides))

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return value[self.index()]


def sliced(builder: Builder, x: Tensor, starts: Sequence, limits: Sequence, strides: Sequence) -> Tensor:
    """The slice of a tensor."""
    bounds = [tuple(map(int, numbers)) for numbers in (starts, limits, strides)]
    shape = tuple(len(range(*along)) for along in zip(*bounds, strict=True))
    return builder.append(Slice((x.number,), shape, builder.label, *bounds))


def slice_(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive slice."""
    (x,) = operands
    strides = params["strides"] or (1,) * len(x.shape)
    return sliced(builder, x, params["start_indices"], params["limit_indices"], strides)


def dynamic_slice(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive dynamic_slice, where the start is written in the function.

    Raises:
        ValueError: a start that is encrypted or a plain argument.
    """
    x, *positions = operands
    sizes = params["slice_sizes"]
    starts = [
        int(np.clip(fixed_positions(start), 0, length - size))
        for start, length, size in zip(positions, x.shape, sizes, strict=True)
    ]
    limits = [start + size for start, size in zip(starts, sizes, strict=True)]
    return sliced(builder, x, starts, limits, (1,) * len(x.shape))


def split(builder: Builder, operands: list[Any], params: dict[str, Any]) -> list[Operand]:
    """The primitive split: one slice for each part."""
    (x,) = operands
    axis, start, parts = params["axis"], 0, []
    for size in params["sizes"]:
        starts = [start if d == axis else 0 for d in range(len(x.shape))]
        limits = [start + size if d == axis else n for d, n in enumerate(x.shape)]
        parts.append(sliced(builder, x, starts, limits, (1,) * len(x.shape)))
        start += size
    return parts
