"""Products of two encrypted arrays, elementwise; a square is the product of one with itself."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import affine


@dataclasses.dataclass(frozen=True, eq=False)
class Product(Operation):
    """The product of two encrypted arrays, elementwise."""

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        first, second = values
        return first * second


def product(builder: Builder, x: Tensor, y: Tensor) -> Tensor:
    """The product of two tensors."""
    shape = np.broadcast_shapes(x.shape, y.shape)
    return builder.append(Product((x.number, y.number), shape, builder.label))


def multiplication(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive mul."""
    x, y = operands
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return product(builder, x, y)
    encrypted, plain = (x, y) if isinstance(x, Tensor) else (y, x)
    return affine(builder, encrypted, plain)


def square(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive square."""
    (x,) = operands
    return product(builder, x, x)
