"""The data of encrypted training, as the client makes them: few numbers a sample, centred, within bounds."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fhejax import nn

DataName = Literal["digits", "mnist"]
Reduction = Literal["8x8", "pca"]
MARGIN = 2  # empty rows and columns at each side of MNIST's images
COMPONENTS = 64
TOLD_APART = (3, 8)  # by logistic regression, as in HELR


@dataclass(frozen=True)
class TrainingData:
    """Samples to learn from and to test on.

    Attributes:
        inputs: float32 (samples, features), or images, in [-scale, scale], of the training split.
        targets: float32 (samples, classes), one at the class; (samples, 1) where there are two.
        test_inputs: float32 (test samples, features), or images.
        test_labels: int32 (test samples,); the class, or 0 and 1 where there are two.
    """

    inputs: np.ndarray
    targets: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray


def load(name: DataName, folder: Path | None) -> nn.Dataset:
    """The images of a data set.

    Raises:
        SystemExit: where it cannot be read, with the reason.
    """
    if name == "digits":
        return nn.load_digits()
    try:
        return nn.load_mnist(folder)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error


def prepare(dataset: nn.Dataset, reduction: Reduction, scale: float) -> TrainingData:
    """All ten classes of a data set, 64 numbers a sample.

    Args:
        dataset: digits (8x8) or MNIST (28x28).
        reduction: "8x8" takes means of 3x3 pixels of MNIST's middle 24x24 ones; "pca" the 64 principal
            components of the training images.
        scale: the largest magnitude of an input.
    """
    parts = dataset.train_images[..., 0], dataset.test_images[..., 0]
    if reduction == "pca":
        train, test = principal_components(*map(_flat, parts))
    else:
        train, test = (_flat(averaged(images, 8)) for images in parts)
    targets = np.eye(10, dtype=np.float32)[dataset.train_labels]
    return centred(train, test, targets, dataset.test_labels, scale)


def prepare_two_classes(dataset: nn.Dataset, scale: float) -> TrainingData:
    """The images of 3 and 8: all 64 pixels of digits, or MNIST as means of 2x2 pixels, 196 numbers.

    Args:
        dataset: digits (8x8) or MNIST (28x28).
        scale: the largest magnitude of an input.
    """
    labels = dataset.train_labels, dataset.test_labels
    train, test = (np.isin(one, TOLD_APART) for one in labels)
    size = min(14, dataset.train_images.shape[1])
    images = dataset.train_images[train, ..., 0], dataset.test_images[test, ..., 0]
    inputs, tests = (_flat(averaged(one, size)) for one in images)
    is_second = [(one == TOLD_APART[1]) for one in (labels[0][train], labels[1][test])]
    targets = is_second[0].astype(np.float32)[:, None]
    return centred(inputs, tests, targets, is_second[1].astype(np.int32), scale)


def as_images(data: TrainingData) -> TrainingData:
    """The same samples as square images of one channel, (samples, height, width, 1)."""
    size = math.isqrt(data.inputs.shape[1])
    shape = (-1, size, size, 1)
    return dataclasses.replace(
        data, inputs=data.inputs.reshape(shape), test_inputs=data.test_inputs.reshape(shape)
    )


def averaged(images: np.ndarray, size: int) -> np.ndarray:
    """Images (count, size, size) of means over square blocks, without margins that are no whole block.

    Args:
        images: (count, height, height); MNIST loses its empty margin where that makes blocks whole.
        size: of the result.
    """
    height = images.shape[1]
    margin = height % size // 2
    kept = images[:, margin : height - margin, margin : height - margin]
    block = kept.shape[1] // size
    return kept.reshape(len(images), size, block, size, block).mean((2, 4))


def principal_components(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The components along the 64 directions of largest variance of the training samples.

    Args:
        train: (samples, features).
        test: of as many features.
    """
    centred = train - train.mean(0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, : -COMPONENTS - 1 : -1]
    directions *= np.where(directions.sum(0) < 0, -1, 1)  # a direction and its opposite are equally right
    return train @ directions, test @ directions


def batch_indices(samples: int, batch: int, steps: int, seed: int) -> np.ndarray:
    """The samples of every step's batch, int (steps, batch): all once, in random order, then again.

    Raises:
        ValueError: fewer samples than a batch needs.
    """
    if samples < batch:
        raise ValueError(f"a batch of {batch} was asked for, and there are {samples} samples; take fewer.")
    generator = np.random.default_rng(seed)
    per_epoch = samples // batch
    epochs = [generator.permutation(samples)[: per_epoch * batch] for _ in range(-(-steps // per_epoch))]
    return np.concatenate(epochs).reshape(-1, batch)[:steps]


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)


def centred(
    train: np.ndarray, test: np.ndarray, targets: np.ndarray, labels: np.ndarray, scale: float
) -> TrainingData:
    """Inputs less the mean training sample, as large as is declared; test samples are cut off there."""
    mean = train.mean(0)
    factor = scale / np.abs(train - mean).max()
    inputs, tests = (np.clip((x - mean) * factor, -scale, scale).astype(np.float32) for x in (train, test))
    return TrainingData(inputs, targets, tests, labels.astype(np.int32))
