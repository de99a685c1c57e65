"""The part of a function that is computed in the clear: plain arrays, and how they follow from arguments.

A plain array that depends on no argument is just its values. One that depends on a `Plain` argument has a
number too, under which it is computed anew for other values of the arguments, without tracing the function.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class PlainArray:
    """An array that the server sees in the clear.

    Attributes:
        values: the numbers, of NumPy or JAX, in the type that the function computes them in.
        number: where it stands in the plain program, or None where no argument decides it.
    """

    values: Any
    number: int | None = None

    @property
    def varies(self) -> bool:
        """Whether plain arguments decide the values."""
        return self.number is not None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values."""
        return tuple(np.shape(self.values))

    @property
    def array(self) -> np.ndarray:
        """The values as an array of NumPy, broadcasts as views."""
        return np.asarray(self.values)


@dataclasses.dataclass(frozen=True, eq=False)
class PlainStep:
    """One function of plain arrays, and the numbers of its results."""

    function: Callable[..., Sequence[Any]]
    operands: tuple[PlainArray, ...]
    results: tuple[int, ...]
    line: str


@dataclasses.dataclass(frozen=True, eq=False)
class PlainProgram:
    """The part of a function that follows from plain arguments alone; their numbers are 0, 1, ..."""

    arguments: int
    steps: tuple[PlainStep, ...]

    def evaluate(self, arguments: Sequence[np.ndarray]) -> dict[int, Any]:
        """The values of all numbered plain arrays for these values of the plain arguments.

        Args:
            arguments: values of the plain arguments, in order.

        Raises:
            ValueError: values with which some operation is not defined, such as a division by zero.
        """
        known: dict[int, Any] = dict(enumerate(arguments))
        with jax.ensure_compile_time_eval():  # the arguments may be closed over by a function under jit
            for step in self.steps:
                operands = [o.values if o.number is None else known[o.number] for o in step.operands]
                known.update(zip(step.results, _results(step, operands), strict=True))
        return known


def _results(step: PlainStep, operands: list) -> Sequence[Any]:
    try:
        return step.function(*operands)
    except ValueError as error:
        raise ValueError(
            f"the plain arguments hold values for which {step.line} is not possible: {error}."
        ) from None


def renewed(array: PlainArray, known: Mapping[int, Any]) -> PlainArray:
    """The plain array with the values that are known under its number."""
    return array if array.number is None else PlainArray(known[array.number], array.number)


def elementwise(function: Callable[..., np.ndarray], *arrays: Any) -> list[np.ndarray]:
    """The function of each entry of one array or several of one shape, in float64.

    What is repeated along an axis (a bias along the batch) is computed once and stays a view.
    """
    shape = np.broadcast_shapes(*(np.shape(a) for a in arrays))
    compact = [compacted(np.asarray(a)).astype(np.float64) for a in arrays]
    return [np.broadcast_to(function(*compact), shape)]


def compacted(array: np.ndarray) -> np.ndarray:
    """The array with each axis along which it is a repeated view cut to its first entry."""
    first = tuple(
        slice(0, 1) if step == 0 and n > 1 else slice(None)
        for step, n in zip(array.strides, array.shape, strict=True)
    )
    return array[first]
