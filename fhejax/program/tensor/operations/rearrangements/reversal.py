"""Reversals: the entries along some axes from the last to the first."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Reversal(Operation):
    """The entries from the last to the first along some axes."""

    axes: tuple[int, ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return np.flip(value, self.axes)


def reversed_along(builder: Builder, x: Tensor, axes: Sequence[int]) -> Tensor:
    """The tensor from the last entry to the first along some axes; one that was so turned is as before."""
    before = builder.operations[x.number]
    if isinstance(before, Reversal) and set(before.axes) == set(axes):
        return Tensor(before.sources[0], x.shape)
    return builder.append(Reversal((x.number,), x.shape, builder.label, tuple(axes)))


def reverse(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive rev."""
    (x,) = operands
    return reversed_along(builder, x, tuple(map(int, params["dimensions"])))
