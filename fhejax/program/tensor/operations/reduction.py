"""Sums of an encrypted array over whole axes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Reduction(Operation):
    """The sum over some axes, which the result lacks."""

    axes: tuple[int, ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return value.sum(self.axes)


def reduction(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive reduce_sum."""
    (x,) = operands
    axes = tuple(map(int, params["axes"]))
    shape = tuple(size for d, size in enumerate(x.shape) if d not in axes)
    return builder.append(Reduction((x.number,), shape, builder.label, axes))
