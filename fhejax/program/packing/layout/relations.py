"""Plain linear maps between arrays, entry by entry: what diagonals are made of."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Relation:
    """A linear map: result entry `targets[k]` takes `coefficients[k]` times entry `sources[k]`, for all k.

    Entries are numbered in row-major order.

    Attributes:
        target_shape: of the result.
        source_shape: of the argument.
        targets: int64 [term].
        sources: int64 [term].
        coefficients: float64 [term].

    Raises:
        ValueError: other shapes, or entries that are not there.
    """

    target_shape: tuple[int, ...]
    source_shape: tuple[int, ...]
    targets: np.ndarray
    sources: np.ndarray
    coefficients: np.ndarray

    def __post_init__(self) -> None:
        shapes = {np.shape(x) for x in (self.targets, self.sources, self.coefficients)}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(f"a relation was given terms of shapes {sorted(shapes)}; they need one axis.")
        for entries, shape in ((self.targets, self.target_shape), (self.sources, self.source_shape)):
            if len(entries) and not 0 <= entries.min() <= entries.max() < math.prod(shape):
                raise ValueError(f"a relation names an entry that an array of shape {shape} does not have.")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The result on a plain array."""
        if np.shape(x) != self.source_shape:
            raise ValueError(f"an array of shape {np.shape(x)} was given; the map takes {self.source_shape}.")
        total = np.zeros(math.prod(self.target_shape))
        np.add.at(total, self.targets, self.coefficients * np.asarray(x).ravel()[self.sources])
        return total.reshape(self.target_shape)


def identity(shape: Sequence[int]) -> Relation:
    """The map of an array to itself: between two layouts it is a repacking."""
    entries = np.arange(math.prod(shape))
    return Relation(tuple(shape), tuple(shape), entries, entries, np.ones(len(entries)))


def dense(weights: np.ndarray, source_shape: Sequence[int] | None = None) -> Relation:
    """The map of a dense layer: y = x.ravel() @ weights.

    Args:
        weights: [in, out].
        source_shape: of x, by default (in,): an array need not be flattened before.
    """
    weights = np.asarray(weights, float)
    shape = (weights.shape[0],) if source_shape is None else tuple(source_shape)
    sources, targets = np.indices(weights.shape).reshape(2, -1)
    return Relation((weights.shape[1],), shape, targets, sources, weights.ravel())


def convolution(
    source_shape: tuple[int, int, int],
    weights: np.ndarray,
    stride: int = 1,
    padding: int = 0,
) -> Relation:
    """The map of a convolution of one image, zeros around it.

    Args:
        source_shape: (channels, height, width).
        weights: [out, in, kernel height, kernel width], as they are: correlated, like `jax.lax.conv`.
        stride: in both directions.
        padding: zeros on each of the four sides.

    Raises:
        ValueError: weights for another number of channels, or larger than the padded image.
    """
    weights = np.asarray(weights, float)
    channels, *image = source_shape
    out, depth, *window = weights.shape
    sizes = [(n + 2 * padding - k) // stride + 1 for n, k in zip(image, window, strict=True)]
    if depth != channels or min(sizes) < 1:
        raise ValueError(
            f"a convolution of shape {source_shape} with weights of shape {weights.shape} was asked for; "
            f"they are [out, {channels}, kernel height, kernel width], no larger than the padded image."
        )
    o, y, x, i, a, b = np.indices((out, *sizes, channels, *window)).reshape(6, -1)
    row, column = stride * y + a - padding, stride * x + b - padding
    inside = (row >= 0) & (row < image[0]) & (column >= 0) & (column < image[1])
    targets = np.ravel_multi_index((o, y, x), (out, *sizes))[inside]
    sources = np.ravel_multi_index((i[inside], row[inside], column[inside]), source_shape)
    coefficients = weights[o, i, a, b][inside]
    return Relation((out, *sizes), source_shape, targets, sources, coefficients)
