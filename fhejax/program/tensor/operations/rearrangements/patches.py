"""Patches: the windows that slide over some axes, each as entries of their own."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.windows import Windows, sliding_windows


@dataclasses.dataclass(frozen=True, eq=False)
class Patches(Operation):
    """All windows over an array: [other axes, taps of a window, positions of windows].

    Attributes:
        order: the axes of the source: those that no window slides over, and then the others.
        windows: how they slide over the others; what they read beyond the ends is zero.
    """

    order: tuple[int, ...]
    windows: Windows

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (value,) = values
        patches, _ = sliding_windows(value.transpose(self.order), 0.0, self.windows)
        return patches.reshape(self.shape)


def patches(builder: Builder, x: Tensor, order: tuple[int, ...], windows: Windows) -> Tensor:
    """The windows over the last axes of a tensor whose axes come in another order."""
    lead = len(order) - len(windows.sizes)
    ordered = tuple(x.shape[d] for d in order)
    shape = (*ordered[:lead], *windows.sizes, *windows.counts(ordered[lead:]))
    return builder.append(Patches((x.number,), shape, builder.label, order, windows))
