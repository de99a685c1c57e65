"""Reshapes: the same entries in the same order, with other axes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """The entries in row-major order in another shape."""

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return value.reshape(self.shape)


def reshaped(builder: Builder, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The tensor in another shape."""
    return builder.append(Reshape((x.number,), shape, builder.label))


def reshape(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive reshape.

    Raises:
        ValueError: a reshape that permutes the axes.
    """
    (x,) = operands
    if params.get("dimensions") is not None:
        raise ValueError("a reshape with a permutation has no rule; transpose first")
    return reshaped(builder, x, tuple(map(int, params["new_sizes"])))


def squeeze(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive squeeze."""
    (x,) = operands
    return reshaped(builder, x, tuple(n for d, n in enumerate(x.shape) if d not in params["dimensions"]))
