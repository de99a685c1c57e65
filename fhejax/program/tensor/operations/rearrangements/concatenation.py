"""Concatenations of encrypted and plain arrays along an axis."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Operand, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.rearrangements.broadcast import with_new_axes
from fhejax.program.tensor.plain_program import PlainArray


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenation(Operation):
    """The parts one after the other along an axis.

    Attributes:
        parts: in order: a plain array, or None for the next of the sources.
        axis: along which they are joined.
    """

    parts: tuple[PlainArray | None, ...]
    axis: int

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        encrypted = iter(values)
        parts = [next(encrypted) if p is None else np.asarray(p.array, np.float64) for p in self.parts]
        return np.concatenate(parts, self.axis)


def concatenated(builder: Builder, parts: Sequence[Operand], axis: int) -> Operand:
    """The parts joined along an axis; those without entries are left out."""
    parts = [part for part in parts if part.shape[axis]]
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    sources = tuple(part.number for part in parts if isinstance(part, Tensor))
    plain = tuple(part if isinstance(part, PlainArray) else None for part in parts)
    return builder.append(Concatenation(sources, tuple(shape), builder.label, plain, axis))


def concatenate(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive concatenate."""
    return concatenated(builder, operands, int(params["dimension"]))


def stack(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Operand:
    """The primitive stack: a new axis, and a concatenation along it."""
    axis = int(params["axis"])

    def expanded(operand: Operand) -> Operand:
        if isinstance(operand, Tensor):
            return with_new_axes(builder, operand, (axis,))
        (plain,) = builder.plain(lambda values: [np.expand_dims(np.asarray(values), axis)], operand)
        return plain

    return concatenated(builder, [expanded(operand) for operand in operands], axis)
