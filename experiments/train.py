"""Train the exact networks for MNIST, or shallow ones for CIFAR-10; remakes the weights beside this file.

    python -m experiments.train --network hcnn --data-dir MNIST --output hcnn.safetensors
    python -m experiments.train --network hcnn_cifar --data-dir CIFAR --folder run --output FILE
    python -m experiments.train --network shallow_cifar --data-dir CIFAR --folder run --output FILE

MNIST is a folder with the four original IDX files, CIFAR one with the six binary batches. With
`--validation 5000` that part of MNIST's training images is held out and reported on instead of the test
set: choices are made there. CIFAR-10's recipes (`experiments/cifar10_training.py`) always hold out 5,000, and
a stopped run goes on from its folder. The shallow network imitates the committed ResNet-20; with `--weights`
only the last part of its recipe runs, with static polynomials, from there.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from tqdm import tqdm

from experiments import cifar10_training, resnet_training
from experiments.trained_network import trained_network
from fhejax import nn

NetworkName = Literal["cryptodl", "cryptonets", "hcnn", "hcnn_cifar", "mlp", "shallow_cifar"]
COLOUR = ("hcnn_cifar", "shallow_cifar")
TEACHER = Path(__file__).parent / "weights" / "resnet20.safetensors"
NETWORKS = {"cryptodl": nn.CryptoDL, "cryptonets": nn.CryptoNets, "hcnn": nn.HCNN, "mlp": nn.MLP}


@dataclass(frozen=True)
class Recipe:
    """Chosen by shorter runs that were judged on 5,000 held-out training images.

    With `teacher` the same network with ReLU is trained first, by these numbers, and imitated.
    """

    training: nn.TrainingConfig
    distortion: nn.Distortion
    teacher: nn.TrainingConfig | None = None


RECIPES = {
    "cryptodl": Recipe(
        nn.TrainingConfig(
            epochs=60, learning_rate=4e-3, label_smoothing=0.05, distillation_weight=0.8, temperature=2.0
        ),
        nn.Distortion(shift=1.5, rotation=10.0, scale=0.1, elastic=0.5),
        nn.TrainingConfig(epochs=30, learning_rate=4e-3, label_smoothing=0.05),
    ),
    "cryptonets": Recipe(
        nn.TrainingConfig(epochs=75, learning_rate=4e-3, penalty_weight=0.01),
        nn.Distortion(shift=1.5, rotation=10.0, scale=0.1, elastic=0.5),
    ),
    "hcnn": Recipe(
        nn.TrainingConfig(epochs=110, learning_rate=4e-3, penalty_weight=0.006),
        nn.Distortion(shift=1.5, rotation=8.0, scale=0.08, elastic=0.4),
    ),
    "mlp": Recipe(
        nn.TrainingConfig(epochs=40, learning_rate=4e-3, label_smoothing=0.02, penalty_weight=0.03),
        nn.Distortion(),
    ),
}


@dataclass(frozen=True)
class Arguments:
    """Train one network and write its weights.

    Attributes:
        network: which of the exact networks.
        data_dir: folder with MNIST's IDX files or CIFAR-10's binary batches; tensorflow-datasets without it.
        output: safetensors file to write; nothing is written without it.
        epochs: passes over the training images; the recipe's number without it.
        validation: training images to hold out and report on instead of the test set; of MNIST alone.
        seed: of the weights, the order of the images and their distortion.
        folder: of the states of a training on CIFAR-10, from which a stopped run goes on.
        weights: safetensors file of a shallow network to go on from, with static polynomials.
        steps: of the part with static polynomials; the recipe's number without it.
    """

    network: NetworkName
    data_dir: Path | None = None
    output: Path | None = None
    epochs: int | None = None
    validation: int = 0
    seed: int = 0
    folder: Path | None = None
    weights: Path | None = None
    steps: int | None = None


def main(arguments: Arguments) -> dict[str, Any]:
    """Train, write, print one table; return its numbers."""
    check(arguments)
    if arguments.network in COLOUR:
        return train_on_cifar10(arguments)
    dataset = nn.load_mnist(arguments.data_dir)
    if arguments.validation:
        dataset = hold_out(dataset, arguments.validation)
    recipe = RECIPES[arguments.network]
    training = replace(recipe.training, seed=arguments.seed)
    if arguments.epochs is not None:
        training = replace(training, epochs=arguments.epochs)
    start = time.perf_counter()
    network = train_network(arguments.network, dataset, replace(recipe, training=training))
    seconds = time.perf_counter() - start
    if arguments.output is not None:
        nn.save_weights(network, arguments.output)
    row = measure(network, dataset) | {"seconds": seconds}
    print_table(arguments, row)
    return row


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is read."""
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise SystemExit(f"There is no folder {arguments.output.parent} to write the weights to.")
    colour = arguments.network in COLOUR
    if colour and arguments.validation:
        raise SystemExit(
            f"--validation is {arguments.validation}, but training on CIFAR-10 holds out "
            f"{resnet_training.HELD_OUT:,} images as it is; leave it out."
        )
    if arguments.network != "shallow_cifar" and (arguments.weights, arguments.steps) != (None, None):
        raise SystemExit(
            f"--weights and --steps are of the training with static polynomials, which {arguments.network} "
            f"has none of; leave them out."
        )
    if not colour and arguments.folder is not None:
        raise SystemExit(
            f"--folder is {arguments.folder}, but {arguments.network} is trained in one piece; leave it out."
        )


def train_on_cifar10(arguments: Arguments) -> dict[str, Any]:
    """Train a network for CIFAR-10, write its folded weights, print one table; return its numbers."""
    dataset = nn.load_cifar10(arguments.data_dir)
    shallow = arguments.network == "shallow_cifar"
    recipe = with_numbers(cifar10_training.SHALLOW if shallow else cifar10_training.HCNN, arguments)
    rngs = nnx.Rngs(arguments.seed)
    if arguments.weights is not None:
        assert recipe.bounded is not None  # of the shallow network
        network, preparation = trained_network(nn.ShallowCifar(rngs=rngs), arguments.weights)
        network, row = resnet_training.run(network, preparation, dataset, recipe.bounded, arguments.folder)
    elif shallow:
        network = nn.ShallowCifar(cifar10_training.hermite, rngs=rngs)
        teacher = cifar10_training.Teacher(*trained_network(nn.ResNet20(rngs=rngs), TEACHER))
        found = cifar10_training.run(network, dataset, recipe, arguments.folder, teacher=teacher)
        network, preparation, row = found
    else:
        network = nn.HCNNCifar(rngs=rngs)
        network, preparation, row = cifar10_training.run(network, dataset, recipe, arguments.folder)
    if arguments.output is not None:
        nn.save_weights(network, arguments.output, np.float16, preparation=preparation)
    print(resnet_training.render(row))
    return row


def with_numbers(recipe: cifar10_training.Recipe, arguments: Arguments) -> cifar10_training.Recipe:
    """The recipe with the seed, and the epochs and steps, that were asked for."""
    first, second = replace(recipe.normalised, seed=arguments.seed), recipe.bounded
    if arguments.epochs is not None:
        first = replace(first, epochs=arguments.epochs)
    if second is not None:
        second = replace(second, seed=arguments.seed, steps=arguments.steps or second.steps)
    return cifar10_training.Recipe(first, second)


def hold_out(dataset: nn.Dataset, count: int) -> nn.Dataset:
    """Split the training images alone: `count` of them, at random, become the test half."""
    order = np.random.default_rng(0).permutation(len(dataset.train_labels))
    kept, held = order[count:], order[:count]
    images, labels = dataset.train_images, dataset.train_labels
    return nn.Dataset(images[kept], labels[kept], images[held], labels[held])


def train_network(name: NetworkName, dataset: nn.Dataset, recipe: Recipe | None = None) -> nn.Network:
    """Train the network `name` on the training half of `dataset`; returned in inference mode."""
    recipe = RECIPES[name] if recipe is None else recipe
    network = NETWORKS[name](rngs=nnx.Rngs(recipe.training.seed))
    teacher = None
    if recipe.teacher is not None:
        options = replace(recipe.teacher, seed=recipe.training.seed)
        teacher = _train(f"{name}'s teacher", nn.exact_twin(network), dataset, options, recipe.distortion)
    return _train(name, network, dataset, recipe.training, recipe.distortion, teacher)


def _train(
    name: str,
    network: nn.Network,
    dataset: nn.Dataset,
    training: nn.TrainingConfig,
    distortion: nn.Distortion,
    teacher: nn.Network | None = None,
) -> nn.Network:
    with tqdm(total=training.epochs, desc=name, unit="epoch") as bar:
        network, _ = nn.train(
            network,
            dataset.train_images,
            dataset.train_labels,
            training,
            augment=functools.partial(_distort, distortion),
            teacher=teacher,
            penalty=log_range if training.penalty_weight else None,
            on_epoch=functools.partial(_show, bar),
        )
    return network


def log_range(network: nn.Network) -> jax.Array:
    """Return the logarithm of the largest logit that interval arithmetic allows."""
    return jnp.log(nn.logit_magnitude(network))


def measure(network: nn.Network, dataset: nn.Dataset) -> dict[str, float]:
    """Return accuracies on the test half, also with rounded weights, and the size of the logits."""
    images, labels = dataset.test_images, dataset.test_labels
    logits = nn.evaluate(network, images)
    squares = all(isinstance(layer, nn.Square) for layer in nn.activation_layers(network))
    rounded = {
        f"accuracy, {bits}-bit weights": nn.accuracy(nn.quantise_kernels(network, bits), images, labels)
        for bits in (10, 8, 6)
    }
    return {
        "accuracy": float(np.mean(np.argmax(logits, axis=-1) == labels)),
        **rounded,
        **({"logits, bound": float(nn.logit_magnitude(network))} if squares else {}),
        "logits, largest": float(np.max(np.abs(logits))),
        "logits, rms": float(np.sqrt(np.mean(np.square(logits)))),
    }


def print_table(arguments: Arguments, row: dict[str, float]) -> None:
    """Print what was measured, one line each."""
    part = f"{arguments.validation} held-out" if arguments.validation else "10,000 test"
    print(f"{arguments.network}, seed {arguments.seed}, {part} images")
    for name, value in row.items():
        text = f"{100 * value:.2f} %" if name.startswith("accuracy") else f"{value:,.1f}"
        print(f"  {name:<24}{text:>12}")


def _distort(distortion: nn.Distortion, key: jax.Array, images: jax.Array) -> jax.Array:
    return nn.distort(key, images, distortion)


def _show(bar: tqdm, epoch: nn.Epoch, predict: Callable[[jax.Array], jax.Array]) -> None:
    bar.set_postfix(loss=f"{epoch.loss:.4f}", accuracy=f"{epoch.accuracy:.4f}")
    bar.update()


if __name__ == "__main__":
    main(tyro.cli(Arguments))
