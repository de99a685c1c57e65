"""Products of two encrypted arrays, elementwise; a square is the product of one with itself."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.affine import affine
from fhejax.program.tensor.operations.rearrangements.concatenation import concatenated
from fhejax.program.tensor.operations.rearrangements.reshape import reshaped
from fhejax.program.tensor.operations.rearrangements.slice import sliced


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


def product_over_axes(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive reduce_prod: halves are multiplied until one is left, so that depth is logarithmic."""
    (x,), axes = operands, tuple(map(int, params["axes"]))
    shape = tuple(size for d, size in enumerate(x.shape) if d not in axes)
    for axis in axes:
        while x.shape[axis] > 1:
            x = _product_of_halves(builder, x, axis)
    return reshaped(builder, x, shape)


def _product_of_halves(builder: Builder, x: Tensor, axis: int) -> Tensor:
    """The first half along an axis times the second, and the entry that is left over."""
    half = x.shape[axis] // 2

    def part(start: int, stop: int) -> Tensor:
        starts = [start if d == axis else 0 for d in range(len(x.shape))]
        limits = [stop if d == axis else size for d, size in enumerate(x.shape)]
        return sliced(builder, x, starts, limits, (1,) * len(x.shape))

    joined = product(builder, part(0, half), part(half, 2 * half))
    if x.shape[axis] % 2 == 0:
        return joined
    joined = concatenated(builder, [joined, part(2 * half, 2 * half + 1)], axis)
    assert isinstance(joined, Tensor)
    return joined
