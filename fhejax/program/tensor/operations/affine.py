"""Products with plain numbers and sums with them, elementwise."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Affine(Operation):
    """The affine map factor * x + term, elementwise; None stands for a factor of 1 and a term of 0.

    Axes of size one are widened to the operation's shape.
    """

    factor: PlainArray | None
    term: PlainArray | None

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        if self.factor is not None:
            value = value * np.asarray(self.factor.array, np.float64)
        if self.term is not None:
            value = value + np.asarray(self.term.array, np.float64)
        return np.broadcast_to(value, self.shape)


def affine(
    builder: Builder, x: Tensor, factor: PlainArray | None = None, term: PlainArray | None = None
) -> Tensor:
    """The tensor factor * x + term."""
    plain = [a.shape for a in (factor, term) if a is not None]
    shape = np.broadcast_shapes(x.shape, *plain)
    return builder.append(Affine((x.number,), shape, builder.label, factor, term))


def negation(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive neg."""
    (x,) = operands
    return affine(builder, x, PlainArray(np.float64(-1.0)))


def division(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive div by a plain array.

    Raises:
        ValueError: an encrypted divisor, or one that holds a zero.
    """
    x, y = operands
    if isinstance(y, Tensor):
        raise ValueError(
            "division by an encrypted value; multiply by a polynomial for 1/x fitted with fhejax.approx"
        )
    return affine(builder, x, builder.map(_reciprocal, y))


def _reciprocal(divisor: np.ndarray) -> np.ndarray:
    if not divisor.all():
        raise ValueError("a division by a plain zero; leave out what is divided by zero")
    return 1.0 / divisor
