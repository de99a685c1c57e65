"""MNIST, from its original files or through tensorflow-datasets."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from fhejax.nn.data.dataset import Dataset, dataset_of_bytes
from fhejax.nn.data.downloads import arrays_of

IMAGES_MAGIC = 0x00000803
LABELS_MAGIC = 0x00000801
MNIST_FILES = {
    "train_images": ("train-images-idx3-ubyte", IMAGES_MAGIC, (60_000, 28, 28)),
    "train_labels": ("train-labels-idx1-ubyte", LABELS_MAGIC, (60_000,)),
    "test_images": ("t10k-images-idx3-ubyte", IMAGES_MAGIC, (10_000, 28, 28)),
    "test_labels": ("t10k-labels-idx1-ubyte", LABELS_MAGIC, (10_000,)),
}


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
        return _normalised(*arrays_of("mnist", "MNIST", "load_mnist", "the four original IDX files"))
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
    def channels_last(images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, 28, 28, 1)

    return dataset_of_bytes(
        channels_last(train_images), train_labels, channels_last(test_images), test_labels
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
