"""CIFAR-10 (Krizhevsky 2009), from its original binary batches or through tensorflow-datasets."""

from pathlib import Path

import numpy as np

from fhejax.nn.data.dataset import Dataset, dataset_of_bytes
from fhejax.nn.data.downloads import arrays_of

CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
FOLDER = "cifar-10-batches-bin"  # as the original archive names it
TRAINING_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_BATCH = "test_batch.bin"
IMAGES_IN_A_BATCH = 10_000
IMAGE_BYTES = 3 * 32 * 32  # red, green and blue planes, row by row; a label before each image


def load_cifar10(data_dir: str | Path | None = None) -> Dataset:
    """The CIFAR-10 data set: 50,000 training and 10,000 test images of shape (32, 32, 3).

    Args:
        data_dir: a folder with the six original binary batches, or with their folder
            `cifar-10-batches-bin`. Without it, tensorflow-datasets downloads and caches the data.

    Raises:
        FileNotFoundError: a file is missing, or tensorflow-datasets cannot deliver.
        ValueError: a file is truncated or is not what its name says.
    """
    if data_dir is None:
        files = "the six original binary batches"
        return dataset_of_bytes(*arrays_of("cifar10", "CIFAR-10", "load_cifar10", files))
    training = [_read_batch(_find(Path(data_dir), name)) for name in TRAINING_BATCHES]
    images, labels = map(np.concatenate, zip(*training, strict=True))
    return dataset_of_bytes(images, labels, *_read_batch(_find(Path(data_dir), TEST_BATCH)))


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / FOLDER / name):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"CIFAR-10 needs the file {name}, but neither the folder {folder} nor {FOLDER} in it has one. "
        f"Give a data_dir that holds all six binary batches: {', '.join((*TRAINING_BATCHES, TEST_BATCH))}."
    )


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images (count, 32, 32, 3) and labels (count,) of a batch, both uint8."""
    content = np.fromfile(path, np.uint8)
    wanted = IMAGES_IN_A_BATCH * (1 + IMAGE_BYTES)
    if len(content) != wanted:
        raise ValueError(
            f"{path} should hold {wanted} bytes, {IMAGES_IN_A_BATCH} images with a label each, but holds "
            f"{len(content)}: it is truncated, damaged or another file of that name. Download it again."
        )
    records = content.reshape(IMAGES_IN_A_BATCH, 1 + IMAGE_BYTES)
    labels, planes = records[:, 0], records[:, 1:].reshape(-1, 3, 32, 32)
    if labels.max() >= len(CIFAR10_CLASSES):
        raise ValueError(
            f"{path} holds the label {labels.max()}, and CIFAR-10's are 0 to {len(CIFAR10_CLASSES) - 1}: "
            "it is damaged or another file of that name, such as one of CIFAR-100. Download it again."
        )
    return planes.transpose(0, 2, 3, 1), labels
