"""A plain array in the slots beside an encrypted one: biases, coefficients per channel, masks."""

import dataclasses
import math

import numpy as np

from fhejax.program.packing.layout.layout import Layout
from fhejax.program.packing.layout.packing import entries


@dataclasses.dataclass(frozen=True, eq=False)
class Spread:
    """Slot vectors as their distinct values, and which of them each slot holds.

    The numbers follow from the layout and the shape of the array alone, so that other values of a plain
    argument change `values` only, which may be traced by JAX.

    Attributes:
        values: [1 + size of the array]: what empty positions hold, then the entries of the array.
        numbers: int32 [ciphertext, slot], which of the values lies there.
    """

    values: np.ndarray
    numbers: np.ndarray

    def vectors(self) -> np.ndarray:
        """The slots of each ciphertext, [ciphertext, slot]."""
        return self.values[self.numbers]

    @property
    def period(self) -> int:
        """The least power of two after which the slots of every ciphertext repeat themselves."""
        slots, found = self.numbers.shape[-1], 1
        while found < slots and (self.numbers[:, found:] != self.numbers[:, :-found]).any():
            found *= 2
        return found


def spread(layout: Layout, array: np.ndarray, fill: float = 0.0) -> Spread:
    """A plain array where the entries of an encrypted one lie that it is added to or multiplied with.

    Args:
        layout: of the encrypted array.
        array: real numbers, of a shape that broadcasts to the layout's, as NumPy does it.
        fill: what empty positions hold: 0 for a mask or a weight, which leaves nothing there.

    Raises:
        ValueError: another shape, or a layout of two parts: there a product of slots mixes them.
    """
    array = np.asarray(array)
    if layout.part_count == 2:
        raise ValueError(
            "a plain array was to be spread over a layout of real and imaginary parts; spread each part over "
            "a layout of its own, and add 1j times the second for a sum."
        )
    shape = (1,) * (len(layout.shape) - array.ndim) + array.shape
    if len(shape) > len(layout.shape) or any(
        n not in (1, m) for n, m in zip(shape, layout.shape, strict=True)
    ):
        raise ValueError(
            f"a plain array of shape {array.shape} was to be spread over entries of shape {layout.shape}; "
            f"its axes must broadcast to these."
        )
    values = np.concatenate(
        [np.array([fill], array.dtype if array.dtype.kind == "f" else float), array.ravel()]
    )
    return Spread(values, _numbers(layout, shape))


def mask(layout: Layout, value: float = 1.0) -> Spread:
    """One number wherever an entry lies, and zero elsewhere."""
    return spread(layout, np.full((1,) * len(layout.shape), value))


def _numbers(layout: Layout, shape: tuple[int, ...]) -> np.ndarray:
    entry = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    of_entry = np.broadcast_to(entry, layout.shape).ravel()
    found = entries(layout)[:, 0]
    return np.where(found < 0, 0, of_entry[np.maximum(found, 0)] + 1).astype(np.int32)
