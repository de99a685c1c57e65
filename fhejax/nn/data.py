"""The data sets: MNIST from its original files, and scikit-learn's digits."""

import gzip
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

IMAGES_MAGIC = 0x00000803
LABELS_MAGIC = 0x00000801
MNIST_FILES = {
    "train_images": ("train-images-idx3-ubyte", IMAGES_MAGIC, (60_000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", LABELS_MAGIC, (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", IMAGES_MAGIC, (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", LABELS_MAGIC, (10_000,)),
}


@dataclass(frozen=True)
class Dataset:
    """A data set, split for training and test.

    The images are (count, height, width, channels) float32 in [0, 1]; the labels (count,) int32.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits() -> Dataset:
    """The digits of scikit-learn, 1,797 of 8x8 pixels: 1,297 for training and 500 for the test.

    The split is stratified by class and always the same.
    """
    from sklearn.datasets import load_digits as load_bunch
    from sklearn.model_selection import train_test_split

    bunch = load_bunch()
    assert not isinstance(bunch, tuple)  # which it is only for return_X_y=True
    images = (bunch.images / 16.0).astype(np.float32)[..., None]
    labels = bunch.target.astype(np.int32)
    parts = train_test_split(images, labels, test_size=500, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = map(np.asarray, parts)
    return Dataset(train_images, train_labels, test_images, test_labels)


def load_mnist(data_dir: str | Path | None = None) -> Dataset:
    """The MNIST data set: 60,000 training and 10,000 test images of shape (28, 28, 1).

    Args:
        data_dir: a folder with the four original IDX files (LeCun, Cortes and Burges), compressed with
            gzip (`.gz`) or not. Without it, tensorflow-datasets downloads and caches the data.

    Raises:
        FileNotFoundError: a file is missing, or tensorflow-datasets cannot deliver.
        ValueError: a file is truncated or is not what its name says.
    """
    if data_dir is None:
        return _mnist_from_tensorflow_datasets()
    arrays = {
        field: _read_idx(_find(Path(data_dir), name), magic, shape)
        for field, (name, magic, shape) in MNIST_FILES.items()
    }
    return _normalised(**arrays)


def _normalised(
    train_images: np.ndarray,
    train_labels: np.ndarray,
    test_images: np.ndarray,
    test_labels: np.ndarray,
) -> Dataset:
    def pixels(images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, 28, 28, 1).astype(np.float32) / np.float32(255)

    return Dataset(
        pixels(train_images),
        train_labels.astype(np.int32),
        pixels(test_images),
        test_labels.astype(np.int32),
    )


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    wanted = ", ".join(f"{name}[.gz]" for name, _, _ in MNIST_FILES.values())
    raise FileNotFoundError(
        f"MNIST needs the file {name} or {name}.gz, but the folder {folder} has neither. "
        f"Give a data_dir that holds all four: {wanted}."
    )


def _read_idx(path: Path, magic: int, shape: tuple[int, ...]) -> np.ndarray:
    """The unsigned bytes of a file in IDX format: big-endian magic and sizes, then entries in C order."""
    content = _read_bytes(path)
    header = 4 * (1 + len(shape))
    if len(content) < header:
        raise ValueError(
            f"{path} is truncated: it holds {len(content)} bytes, less than the {header} of an IDX "
            "header. Download it again."
        )
    found, *sizes = np.frombuffer(content, ">u4", 1 + len(shape)).tolist()
    if found != magic:
        raise ValueError(
            f"{path} does not begin as this MNIST file does: its magic number is {found:#010x}, "
            f"and {magic:#010x} is needed. It may be another file of that name: download it again."
        )
    if tuple(sizes) != shape:
        raise ValueError(f"{path} says that its sizes are {tuple(sizes)}; MNIST's are {shape}.")
    if len(content) != header + math.prod(shape):
        raise ValueError(
            f"{path} should hold {header + math.prod(shape)} bytes for sizes {shape}, but holds "
            f"{len(content)}: it is truncated or damaged. Download it again."
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _read_bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path, "rb") as stream:
            return stream.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{path} is not a whole gzip file ({error}): it is truncated or damaged. Download it again."
        ) from error


def _mnist_from_tensorflow_datasets() -> Dataset:
    try:
        # Optional, and in few environments: only the extra `data` installs it.
        import tensorflow_datasets as tfds  # pyright: ignore[reportMissingImports]

        builder = tfds.builder("mnist", file_format="array_record")
        builder.download_and_prepare()
        train, test = builder.as_data_source(split=["train", "test"])
        return _normalised(*_stacked(train), *_stacked(test))
    except Exception as error:  # every cause, from a missing package to no network, has one fix
        raise FileNotFoundError(
            "MNIST was asked for without a folder, and tensorflow-datasets could not provide it "
            f"({type(error).__name__}: {error}). Give load_mnist a data_dir that holds the four "
            "original IDX files, or install tensorflow-datasets and connect to the network."
        ) from error


def _stacked(source: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    examples = [source[index] for index in range(len(source))]
    images = np.stack([example["image"] for example in examples])
    return images, np.asarray([example["label"] for example in examples])
