"""A data set of images and labels, whatever it comes from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """A data set, split for training and test.

    The images are (count, height, width, channels) float32 in [0, 1]; the labels (count,) int32.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def dataset_of_bytes(
    train_images: np.ndarray, train_labels: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray
) -> Dataset:
    """The data set of images whose pixels are bytes, (count, height, width, channels)."""

    def pixels(images: np.ndarray) -> np.ndarray:
        return images.astype(np.float32) / np.float32(255)

    return Dataset(
        pixels(train_images),
        train_labels.astype(np.int32),
        pixels(test_images),
        test_labels.astype(np.int32),
    )
