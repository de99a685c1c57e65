"""The settings of every training, one row for each network and data set."""

from dataclasses import dataclass
from typing import Literal

from experiments.encrypted_training.data import DataName, Reduction

NetworkName = Literal["64-32-16-10", "64-32-10", "64-64-10", "64-128-10", "cnn", "logistic"]


@dataclass(frozen=True)
class Recipe:
    """The settings of one training, found in the clear on samples held out of the training split.

    Attributes:
        batch: samples of a step.
        steps: of the whole run.
        rate: the learning rate, the same at all steps.
        scale: the largest magnitude of an input.
        gain: of the first kernels: their deviation times the root of a layer's inputs.
        parameters: the largest magnitude that kernels and biases may have.
        momenta: the largest magnitude that optax's momenta may have.
        preactivations: the largest magnitude of a linear layer's output on training samples.
    """

    batch: int
    steps: int
    rate: float
    scale: float
    gain: float
    parameters: float
    momenta: float
    preactivations: float


RECIPES: dict[tuple[NetworkName, str], Recipe] = {
    # batch, steps, rate, scale, gain, parameters, momenta, preactivations
    ("64-32-16-10", "digits"): Recipe(60, 60, 0.125, 2, 0.5, 1, 1, 4),
    ("64-32-10", "digits"): Recipe(64, 40, 0.125, 2, 0.5, 1, 1, 4),
    ("64-64-10", "digits"): Recipe(64, 30, 0.125, 2, 0.5, 1, 1, 4),
    ("64-128-10", "digits"): Recipe(64, 30, 0.125, 2, 0.5, 1, 1, 4),
    ("cnn", "digits"): Recipe(64, 70, 0.08, 2, 0.35, 1, 1, 4),
    ("logistic", "digits"): Recipe(64, 32, 0.05, 2, 0, 2, 2, 12),
    ("64-32-16-10", "mnist 8x8"): Recipe(60, 2000, 0.03, 1.5, 0.5, 1, 1, 4),
    ("64-32-10", "mnist 8x8"): Recipe(64, 1000, 0.04, 2, 0.5, 1, 1, 4),
    ("64-64-10", "mnist 8x8"): Recipe(1024, 400, 0.18, 2, 0.5, 1, 1, 4),
    ("64-128-10", "mnist 8x8"): Recipe(1024, 400, 0.24, 2, 0.5, 1, 1, 4),
    ("cnn", "mnist 8x8"): Recipe(64, 1000, 0.04, 2, 0.35, 1, 1, 4),
    ("64-32-16-10", "mnist pca"): Recipe(60, 1000, 0.03, 5, 0.5, 1, 1, 4),
    ("64-32-10", "mnist pca"): Recipe(64, 1000, 0.04, 5, 0.5, 1, 1, 4),
    ("64-64-10", "mnist pca"): Recipe(1024, 400, 0.25, 5, 0.5, 1, 1, 4),
    ("64-128-10", "mnist pca"): Recipe(1024, 400, 0.25, 6, 0.5, 1, 1, 4),
    ("logistic", "mnist"): Recipe(1024, 32, 0.2, 1, 0, 2, 1, 12),
}


def recipe_of(network: NetworkName, data: DataName, reduction: Reduction) -> Recipe:
    """The settings of a network on a data set; only MNIST is reduced in one of several ways."""
    reduced = data == "mnist" and network != "logistic"
    return RECIPES[network, f"{data} {reduction}" if reduced else data]
