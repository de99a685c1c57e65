"""Transpositions: the same entries with the axes in another order."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Transposition(Operation):
    """The axes in another order: axis i of the result is axis order[i] of the source."""

    order: tuple[int, ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return value.transpose(self.order)


def transpose(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive transpose."""
    (x,) = operands
    order = tuple(map(int, params["permutation"]))
    shape = tuple(x.shape[d] for d in order)
    return builder.append(Transposition((x.number,), shape, builder.label, order))
