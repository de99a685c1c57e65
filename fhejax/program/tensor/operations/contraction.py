"""Sums of products along axes of two arrays: matrix products and their kin."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray

Axes = tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Contraction(Operation):
    """The contraction lax.dot_general of two encrypted arrays, or of one with a plain array.

    Its axes are the common ones, the others of the first operand, the others of the second.

    Attributes:
        plain: the plain operand, where there is one.
        plain_first: whether that is the first.
        summed: the axes of each operand that are summed.
        common: those of each that both run along together.
    """

    plain: PlainArray | None
    plain_first: bool
    summed: tuple[Axes, Axes]
    common: tuple[Axes, Axes]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        operands = list(values)
        if self.plain is not None:
            operands.insert(0 if self.plain_first else 1, np.asarray(self.plain.array, np.float64))
        first, second = operands
        second_names = list(range(first.ndim, first.ndim + second.ndim))
        for pair in (self.summed, self.common):
            for one, other in zip(*pair, strict=True):
                second_names[other] = one
        kept = [d for d in range(first.ndim) if d not in self.summed[0] and d not in self.common[0]]
        result = [*self.common[0], *kept, *(n for n in second_names if n >= first.ndim)]
        return np.einsum(first, list(range(first.ndim)), second, second_names, result, optimize=True)


def dot_general(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive dot_general."""
    summed, common = ((tuple(first), tuple(second)) for first, second in params["dimension_numbers"])
    plain = next((o for o in operands if isinstance(o, PlainArray)), None)
    sources = tuple(o.number for o in operands if isinstance(o, Tensor))
    shape = _shape([o.shape for o in operands], summed, common)
    plain_first = isinstance(operands[0], PlainArray)
    return builder.append(Contraction(sources, shape, builder.label, plain, plain_first, summed, common))


def _shape(shapes: list[Axes], summed: tuple[Axes, Axes], common: tuple[Axes, Axes]) -> tuple[int, ...]:
    together = [shapes[0][d] for d in common[0]]
    free = [
        size
        for shape, inner, outer in zip(shapes, summed, common, strict=True)
        for d, size in enumerate(shape)
        if d not in inner and d not in outer
    ]
    return (*together, *free)
