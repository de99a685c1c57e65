"""Sums and differences of encrypted arrays, elementwise."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import affine
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum of several encrypted arrays, each times its sign of 1 or -1, elementwise."""

    signs: tuple[int, ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        return np.broadcast_to(sum(sign * v for sign, v in zip(self.signs, values, strict=True)), self.shape)


def summed(builder: Builder, terms: Sequence[Tensor], signs: Sequence[int]) -> Tensor:
    """The sum of tensors times signs; a single one with sign 1 is itself."""
    if len(terms) == 1 and signs[0] == 1:
        return terms[0]
    shape = np.broadcast_shapes(*(t.shape for t in terms))
    return builder.append(Sum(tuple(t.number for t in terms), shape, builder.label, tuple(signs)))


def addition(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive add."""
    x, y = operands
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return summed(builder, (x, y), (1, 1))
    encrypted, plain = (x, y) if isinstance(x, Tensor) else (y, x)
    return affine(builder, encrypted, term=plain)


def subtraction(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive sub."""
    x, y = operands
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return summed(builder, (x, y), (1, -1))
    if isinstance(x, Tensor):
        return affine(builder, x, term=builder.map(np.negative, y))
    return affine(builder, y, PlainArray(np.float64(-1.0)), x)
