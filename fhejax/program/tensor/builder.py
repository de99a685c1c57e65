"""The tensor graph while it is made: operations and plain steps are added in order."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.operation import Label, Operation
from fhejax.program.tensor.plain_program import PlainArray, PlainStep, elementwise


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An encrypted array while a function is traced: the number of its operation, and its shape."""

    number: int
    shape: tuple[int, ...]


Operand = Tensor | PlainArray
FromPrimitive = Callable[["Builder", list[Any], dict[str, Any]], Operand | list[Operand]]


class Builder:
    """The collection of operations and plain steps; it lives no longer than the trace.

    Attributes:
        operations: those added, in order.
        steps: what is computed from plain arguments, in order.
        label: of the operations that are added next.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.steps: list[PlainStep] = []
        self.label = Label("", "")
        self._plain_numbers = 0

    def append(self, operation: Operation) -> Tensor:
        """The value of an operation that is added."""
        self.operations.append(operation)
        return Tensor(len(self.operations) - 1, operation.shape)

    def plain_argument(self, values: np.ndarray) -> PlainArray:
        """The plain array of the next plain argument."""
        return PlainArray(values, self._next_plain())

    def plain(self, function: Callable[..., Sequence[Any]], *operands: PlainArray) -> list[PlainArray]:
        """The results of a function of plain arrays, remembered where an argument decides them."""
        results = function(*(operand.values for operand in operands))
        if all(operand.number is None for operand in operands):
            return [PlainArray(result) for result in results]
        numbers = tuple(self._next_plain() for _ in results)
        self.steps.append(PlainStep(function, operands, numbers, str(self.label)))
        return [PlainArray(result, number) for result, number in zip(results, numbers, strict=True)]

    def map(self, function: Callable[..., np.ndarray], *operands: PlainArray) -> PlainArray:
        """The function of each entry of plain arrays, in float64."""
        (result,) = self.plain(functools.partial(elementwise, function), *operands)
        return result

    def _next_plain(self) -> int:
        self._plain_numbers += 1
        return self._plain_numbers - 1
