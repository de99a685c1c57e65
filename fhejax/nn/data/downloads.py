"""Data sets of images by way of tensorflow-datasets, which downloads and caches them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def arrays_of(name: str, title: str, loader: str, files: str) -> Arrays:
    """The training images and labels, and the test images and labels, as they are stored.

    Args:
        name: of the data set in tensorflow-datasets.
        title: of the data set in an error.
        loader: the function that was called, for an error.
        files: what a folder would have to hold instead.

    Raises:
        FileNotFoundError: tensorflow-datasets cannot deliver, for whatever reason.
    """
    try:
        # Optional, and in few environments: only the extra `data` installs it.
        import tensorflow_datasets as tfds  # pyright: ignore[reportMissingImports]

        builder = tfds.builder(name, file_format="array_record")
        builder.download_and_prepare()
        train, test = builder.as_data_source(split=["train", "test"])
        return *_stacked(train), *_stacked(test)
    except Exception as error:  # every cause, from a missing package to no network, has one fix
        raise FileNotFoundError(
            f"{title} was asked for without a folder, and tensorflow-datasets could not provide it "
            f"({type(error).__name__}: {error}). Give {loader} a data_dir that holds {files}, or install "
            "tensorflow-datasets and connect to the network."
        ) from error


def _stacked(source: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    examples = [source[index] for index in range(len(source))]
    images = np.stack([example["image"] for example in examples])
    return images, np.asarray([example["label"] for example in examples])
