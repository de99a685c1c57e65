"""Classify encrypted 8x8 digits, from training to decryption, in a minute or two.

    python -m experiments.digits --plot digits.png

The 1,797 digits come with scikit-learn: nothing is downloaded.
"""

import functools
from dataclasses import dataclass
from typing import Any

import tyro
from flax import nnx
from tqdm import tqdm

from experiments import pipeline
from fhejax import nn


@dataclass(frozen=True)
class Arguments(pipeline.Options):
    """Train a network on scikit-learn's digits; classify its 500 test images encrypted.

    Attributes:
        epochs: passes over the 1,297 training images.
        seed: of the weights and the order of the images.
    """

    epochs: int = 40
    seed: int = 0
    precision_bits: float = 8.0


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    dataset = nn.load_digits()
    experiment = pipeline.Experiment(
        name="Digits",
        dataset=dataset,
        batch=len(dataset.test_labels),
        stage="train",
        make_network=functools.partial(train_network, dataset, arguments),
    )
    return pipeline.run(experiment, arguments)


def train_network(dataset: nn.Dataset, arguments: Arguments) -> nn.Digits:
    """Train on the training half; the recipe was chosen on 300 held-out training images."""
    training = nn.TrainingConfig(
        epochs=arguments.epochs,
        batch_size=32,
        learning_rate=4e-3,
        label_smoothing=0.05,
        seed=arguments.seed,
    )
    with tqdm(total=training.epochs, desc="  epochs", unit="epoch", leave=False) as bar:
        network, _ = nn.train(
            nn.Digits(rngs=nnx.Rngs(training.seed)),
            dataset.train_images,
            dataset.train_labels,
            training,
            on_epoch=lambda epoch, _: bar.update(),
        )
    return network


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.digits"))
