"""The slots of a ciphertext as columns of values: which hold a sample, and after how many they repeat."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Slots:
    """The meaning of columns where they are slots and not samples.

    live: bool [column], which hold a sample. period: a sum over the batch adds this many consecutive
    columns, cyclically, as rotations do. width: the columns of one ciphertext.
    """

    live: np.ndarray
    period: int
    width: int


def batch_period(batch: int, slots: int) -> int:
    """The slots after which samples repeat, a power of two: as many as a sum over the batch adds up."""
    return min(2 ** (batch - 1).bit_length(), slots)
