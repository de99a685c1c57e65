"""Train the last layer of a public network on encrypted features and labels (transfer learning).

    python -m experiments.fine_tuning --data-dir CIFAR10 --folder run

The client computes what the committed ResNet-20 makes of its images up to the mean over the image: 64
numbers, in the clear, with public weights. What is trained encrypted is a dense layer on these, from zero,
with the squared error and Nesterov's method: `experiments.encrypted_sgd` without a hidden layer.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx
from tqdm import tqdm

from experiments import encrypted_sgd, pipeline
from experiments.encrypted_training.data import centred
from experiments.encrypted_training.networks import perceptron, squared_error
from experiments.encrypted_training.recipes import Recipe
from experiments.encrypted_training.training import Training, training_on
from experiments.mnist import WEIGHTS
from experiments.trained_network import read_cifar10, trained_network
from fhejax import nn

RECIPE = Recipe(
    batch=256, steps=20, rate=0.05, scale=4, gain=0, parameters=1, momenta=1, preactivations=4
)  # found on 1,000 images held out of the training split
PART = 250  # images whose features are computed at once
CLASSES = 10


@dataclass(frozen=True)
class Arguments(encrypted_sgd.RunOptions):
    """Train a dense layer on encrypted features of CIFAR-10, and compare it with the same in the clear.

    Attributes:
        data_dir: folder with CIFAR-10's binary files; tensorflow-datasets without it.
        images: of the 50,000 training images.
        tests: of the 10,000 test images.
        steps: of the training, of 256 images each.
        seed: of the order of samples.
    """

    data_dir: Path | None = None
    images: int = 10_000
    tests: int = 10_000
    steps: int = RECIPE.steps
    seed: int = 0


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    encrypted_sgd.check_options(arguments)
    pipeline.check_range("--images", arguments.images, RECIPE.batch, 50_000)
    pipeline.check_range("--tests", arguments.tests, 1, 10_000)
    pipeline.check_range("--steps", arguments.steps, 1, 100_000)
    pipeline.use_cache(arguments.cache)
    return encrypted_sgd.run(make_training(arguments), arguments)


def make_training(arguments: Arguments) -> Training:
    """The training of the last layer on features of CIFAR-10.

    Raises:
        SystemExit: where the images or the weights cannot be read, with the reason.
    """
    path = WEIGHTS / "resnet20.safetensors"
    network, preparation = trained_network(nn.ResNet20(rngs=nnx.Rngs(0)), path)
    images = read_cifar10(arguments.data_dir)
    train, tests = images.train_images[: arguments.images], images.test_images[: arguments.tests]
    inputs, test_inputs = (features(network, preparation, part) for part in (train, tests))
    labels = images.train_labels[: arguments.images], images.test_labels[: arguments.tests]
    return training_on_features(inputs, test_inputs, labels, arguments.steps, arguments.seed)


def training_on_features(
    inputs: np.ndarray,
    tests: np.ndarray,
    labels: tuple[np.ndarray, np.ndarray],
    steps: int,
    seed: int,
) -> Training:
    """The training of a dense layer on features (samples, features), with labels of both splits."""
    data = centred(inputs, tests, np.eye(CLASSES, dtype=np.float32)[labels[0]], labels[1], RECIPE.scale)
    name = f"{inputs.shape[1]}-{CLASSES} on features of CIFAR-10"
    recipe = Recipe(**{**vars(RECIPE), "steps": steps})
    network = perceptron((inputs.shape[1], CLASSES), recipe.gain, seed)
    return training_on(name, data, network, squared_error, recipe, seed)


def features(network: nn.ResNet, preparation: nn.Preparation, images: np.ndarray) -> np.ndarray:
    """The numbers that the network's last layer sees, float32 (images, channels).

    Args:
        network: in its inference view.
        preparation: of its images.
        images: (images, height, width, colours) in [0, 1].
    """
    graph, state = nnx.split(network)

    @jax.jit
    def before_output(x: jax.Array) -> jax.Array:
        """All layers but the last."""
        for layer in nnx.merge(graph, state).layers()[:-1]:
            x = layer(x)
        return x

    starts = tqdm(range(0, len(images), PART), desc="features", leave=False)
    parts = [np.asarray(before_output(preparation(images[start : start + PART]))) for start in starts]
    return np.concatenate(parts)


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.fine_tuning"))
