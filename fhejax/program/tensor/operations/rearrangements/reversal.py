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


def reverse(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive rev."""
    (x,) = operands
    return builder.append(
        Reversal((x.number,), x.shape, builder.label, tuple(map(int, params["dimensions"])))
    )
