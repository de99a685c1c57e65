"""Arrays that lie in files: memory maps, of which parts are read or written and their memory given back.

A page of a file that was read counts as the process's until the system takes it back. Here it is given back
at once, so that a process that reads a file of any size stays as small as the parts that it holds.
"""

import math
import mmap
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_PIECE = 2**26  # bytes that are read at once


def mapped(stream: BinaryIO, dtype: np.dtype, offset: int, shape: tuple[int, ...]) -> np.ndarray:
    """The array in an open file, which may be closed: a map of it, read-only.

    Args:
        stream: of the file.
        dtype: of the numbers.
        offset: of the first of them, in bytes.
        shape: of the array, not empty.
    """
    return np.memmap(stream, dtype, "r", offset, shape)


def blank(folder: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """An array of zeros in a file of a folder: a map that can be written to, and whose file goes with it.

    Args:
        folder: that exists.
        dtype: of the numbers.
        shape: of the array, not empty.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        stream.truncate(dtype.itemsize * math.prod(shape))
        return np.memmap(stream, dtype, "r+", 0, shape)


def put(array: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """Write some rows of an array, of which the system keeps what is in a file."""
    array[rows] = values
    _give_back(array)


def taken(array: np.ndarray, row: int, entries: np.ndarray, kept: int) -> np.ndarray:
    """A copy of some entries of one row of an array [row, *entry axes, *the last `kept`]."""
    found = array[row].reshape(-1, *array.shape[array.ndim - kept :])[entries]
    _give_back(array)
    return found


def pieces(array: np.ndarray, kept: int) -> Iterator[np.ndarray]:
    """An array [*axes, *the last `kept`] as parts [some, *the last], which are not copied.

    Args:
        array: a map or any other.
        kept: axes that are not cut.
    """
    flat = array.reshape(-1, *array.shape[array.ndim - kept :])
    count = max(1, _PIECE * len(flat) // max(1, flat.nbytes))
    for start in range(0, len(flat), count):
        yield flat[start : start + count]
        _give_back(array)


def _give_back(array: Any) -> None:
    """Give the pages of a map back to the system; they are read again when they are looked at again."""
    while isinstance(array, np.ndarray):
        array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        array.madvise(mmap.MADV_DONTNEED)
