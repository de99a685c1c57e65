"""The preparation of images by the client, before they are encrypted: normalised, with limited colour."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from fhejax.approx.checks import is_traced

PREFIX = "preparation."  # of the names of its numbers in a file of weights


@dataclass(frozen=True)
class Preparation:
    """The map from pixels to what a network was trained on; pure, on the host.

    Each colour is normalised, (x - mean) / deviation. Then a pixel further than `chroma` from grey, which is
    the mean of its colours, is drawn towards it: saturated colours lie far outside of what a network
    sees otherwise, where its polynomials grow.

    Attributes:
        mean: one number for each colour, of pixels in [0, 1].
        deviation: the same, above 0.
        chroma: the largest Euclidean distance from grey, in normalised units; infinity for no limit.
        image_shape: (height, width, colours) of an image.

    Raises:
        ValueError: numbers that are not finite, other than one for each colour, or not above 0 where they
            must be.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    chroma: float = math.inf
    image_shape: tuple[int, int, int] = (32, 32, 3)

    def __post_init__(self) -> None:
        colours = self.image_shape[-1]
        found = (len(self.mean), len(self.deviation))
        if len(self.image_shape) != 3 or min(self.image_shape) < 1 or found != (colours, colours):
            raise ValueError(
                f"a preparation of images {self.image_shape} (height, width, colours) needs a mean and a "
                f"deviation for each of {colours} colours, but {found[0]} means and {found[1]} deviations "
                "were given."
            )
        finite = all(map(math.isfinite, (*self.mean, *self.deviation)))
        if not finite or min(self.deviation) <= 0 or not self.chroma > 0:
            raise ValueError(
                "a preparation needs finite means, and deviations and a limit of colour above 0, but found "
                f"mean={self.mean}, deviation={self.deviation}, chroma={self.chroma}."
            )

    def __call__(self, images: np.ndarray | jax.Array) -> np.ndarray:
        """The prepared images, float32 in their shape, computed in float64.

        Args:
            images: (count, *image_shape), uint8, or floating in [0, 1].

        Raises:
            ValueError: another shape, or numbers outside of [0, 1].
            TypeError: another type, or images that JAX is tracing.
        """
        x = (self._pixels(images) - np.array(self.mean)) / np.array(self.deviation)
        grey = x.mean(-1, keepdims=True)
        distance = np.linalg.norm(x - grey, axis=-1, keepdims=True)
        nearer = np.minimum(1.0, self.chroma / np.maximum(distance, 1e-9))
        return (grey + (x - grey) * nearer).astype(np.float32)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest number that any image is mapped to, for `fhejax.Encrypted(range=)`."""
        ends = np.outer((0.0, 1.0), np.ones(len(self.mean))) - np.array(self.mean)
        ends = (ends / np.array(self.deviation)).astype(np.float32)
        return float(ends.min()), float(ends.max())

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers by their names in a file of weights: float64, and int32 for the shape."""
        shape = np.array(self.image_shape, np.int32)
        numbers = {"mean": self.mean, "deviation": self.deviation, "chroma": self.chroma}
        named = {name: np.array(value, np.float64) for name, value in numbers.items()}
        return {PREFIX + name: array for name, array in (named | {"image_shape": shape}).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Preparation":
        """The preparation whose `arrays` these are.

        Raises:
            ValueError: other names or shapes, or numbers that make no preparation.
        """
        wanted = {PREFIX + name: rank for name, rank in _RANKS.items()}
        if {name: array.ndim for name, array in arrays.items()} != wanted:
            raise ValueError(
                f"a preparation is stored as the arrays {', '.join(wanted)}, the first two and the last with "
                f"one axis; but found {', '.join(f'{n} {a.shape}' for n, a in arrays.items()) or 'none'}."
            )
        mean, deviation, chroma, shape = (arrays[name].tolist() for name in wanted)
        height, width, colours = shape if len(shape) == 3 else (0, 0, 0)
        return cls(tuple(mean), tuple(deviation), float(chroma), (int(height), int(width), int(colours)))

    def _pixels(self, images: Any) -> np.ndarray:
        """The images as float64 in [0, 1]."""
        if is_traced(images):
            raise TypeError(
                "a client prepares images before it encrypts them, on the host, but these are traced by a "
                "JAX transformation; prepare them outside of it."
            )
        images = np.asarray(images)
        if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
            raise TypeError(
                f"images are prepared from uint8 (0 to 255) or from floating numbers in [0, 1], but found "
                f"{images.dtype}; convert them."
            )
        if images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images of shape (count, {', '.join(map(str, self.image_shape))}) are prepared, but found "
                f"{images.shape}. Resize or reshape them, with the count first and the colours last."
            )
        if images.dtype == np.uint8:
            return images / 255.0
        if not _within_unit(images):
            raise ValueError(
                "floating images are prepared from numbers in [0, 1], but found some outside of it or not "
                "finite; divide pixels of 0 to 255 by 255, or pass them as uint8."
            )
        return images.astype(np.float64)


_RANKS = {"mean": 1, "deviation": 1, "chroma": 0, "image_shape": 1}


def _within_unit(images: np.ndarray) -> bool:
    """Whether all numbers lie in [0, 1]; a NaN does not."""
    return bool(np.all((images >= 0) & (images <= 1)))
