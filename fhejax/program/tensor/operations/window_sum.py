"""Sums over windows that slide over an array: average pooling, and sums of all that is before an entry."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray
from fhejax.program.tensor.windows import Windows, sliding_windows


@dataclasses.dataclass(frozen=True, eq=False)
class WindowSum(Operation):
    """The sums lax.reduce_window_sum over windows, which have a size along every axis."""

    windows: Windows

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        patches, positions = sliding_windows(value, 0.0, self.windows)
        return patches.sum(0).reshape(positions)


def window_sum(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive reduce_window_sum."""
    return _windowed(builder, operands[:1], _windows(params))


def reduce_window(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive reduce_window, where it adds up and begins with zero.

    Raises:
        ValueError: another reduction, or a start other than zero.
    """
    names = [equation.primitive.name for equation in params["jaxpr"].eqns]
    x, *start = operands
    zero = [isinstance(s, PlainArray) and s.number is None and not s.array.any() for s in start]
    if names != ["add"] or zero != [True]:
        raise ValueError("a reduction of windows that is not a sum from zero; use lax.add and 0.0")
    return _windowed(builder, [x], _windows(params))


def _windows(params: dict[str, Any]) -> Windows:
    """The windows that a primitive's parameters describe."""
    return Windows(
        tuple(params["window_dimensions"]),
        tuple(params["window_strides"]),
        tuple(map(tuple, params["padding"])),
        tuple(params["base_dilation"]),
        tuple(params["window_dilation"]),
    )


def cumulative_sum(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive cumsum: a window as long as the axis, which ends (in reverse, starts) at each entry."""
    shape, axis = operands[0].shape, params["axis"]
    ones, length = (1,) * len(shape), shape[axis]
    before, after = (0, length - 1) if params["reverse"] else (length - 1, 0)
    sizes = tuple(length if d == axis else 1 for d in range(len(shape)))
    padding = tuple((before, after) if d == axis else (0, 0) for d in range(len(shape)))
    return _windowed(builder, operands, Windows(sizes, ones, padding, ones, ones))


def _windowed(builder: Builder, operands: list[Any], windows: Windows) -> Tensor:
    (x,) = operands
    return builder.append(WindowSum((x.number,), windows.counts(x.shape), builder.label, windows))
