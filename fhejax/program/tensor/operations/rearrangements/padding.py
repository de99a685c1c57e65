"""Paddings: plain numbers before, after and between the entries along each axis."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.plain_program import PlainArray
from fhejax.program.tensor.windows import dilated, padded


@dataclasses.dataclass(frozen=True, eq=False)
class Padding(Operation):
    """The source with a plain number around and between its entries, as lax.pad.

    Attributes:
        value: one plain number.
        widths: for each axis how many before, after, and between two entries; negative ones crop.
    """

    value: PlainArray
    widths: tuple[tuple[int, int, int], ...]

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        return pad_array(value, float(self.value.array), self.widths)


def pad_array(array: np.ndarray, fill: float, widths: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """The array with `fill` around and between its entries.

    Args:
        array: of any type.
        fill: what is put in.
        widths: for each axis how many before, after, and between two entries; negative ones crop.
    """
    for axis, (low, high, interior) in enumerate(widths):
        array = padded(dilated(array, axis, interior + 1, fill), axis, low, high, fill)
    return array


def pad(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive pad.

    Raises:
        ValueError: an encrypted number to pad with.
    """
    x, value = operands
    if isinstance(value, Tensor) or not isinstance(x, Tensor):
        raise ValueError("a padding with an encrypted value; pad with zero, and add the value")
    widths = tuple((low, high, interior) for low, high, interior in params["padding_config"])
    shape = tuple(
        low + high + size + (size - 1) * interior
        for size, (low, high, interior) in zip(x.shape, widths, strict=True)
    )
    return builder.append(Padding((x.number,), shape, builder.label, value, widths))
