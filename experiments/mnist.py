"""Classify the 10,000 test images of MNIST encrypted, with networks of the literature.

    python -m experiments.mnist --network cryptonets --data-dir MNIST

MNIST is a folder with the four original IDX files; without it, tensorflow-datasets downloads them
(`pip install -e .[data]`). The weights lie beside this file; `--train` makes them anew.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from flax import nnx

from experiments import pipeline
from experiments.train import NETWORKS, train_network
from fhejax import nn

NetworkName = Literal["cryptonets", "hcnn", "mlp"]
WEIGHTS = Path(__file__).resolve().parent / "weights"
NAMES = {"cryptonets": "CryptoNets", "hcnn": "HCNN", "mlp": "MLP"}
BATCHES = {"cryptonets": 8192, "hcnn": 8192, "mlp": 10_000}


@dataclass(frozen=True)
class Arguments(pipeline.Options):
    """Classify the test images of MNIST encrypted.

    Attributes:
        network: which of the exact networks.
        batch: images that are encrypted together: 10,000 for mlp and 8,192 otherwise.
        data_dir: folder with MNIST's four IDX files; tensorflow-datasets without it.
        images: only this many of the test images.
        weights: safetensors file to read; the one beside this program without it.
        train: train anew and overwrite that file first: minutes to an hour.
    """

    network: NetworkName = "cryptonets"
    batch: int | None = None
    data_dir: Path | None = None
    images: int = 10_000
    weights: Path | None = None
    train: bool = False


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    batch = BATCHES[arguments.network] if arguments.batch is None else arguments.batch
    if min(batch, arguments.images) < 1:
        raise SystemExit(f"--batch {batch} --images {arguments.images}: both must be 1 or more.")
    dataset = load_dataset(arguments.data_dir, arguments.images)
    experiment = pipeline.Experiment(
        name=f"{NAMES[arguments.network]} on MNIST",
        dataset=dataset,
        batch=batch,
        stage="train" if arguments.train else "load",
        make_network=functools.partial(make_network, arguments, dataset),
    )
    return pipeline.run(experiment, arguments)


def load_dataset(folder: Path | None, count: int) -> nn.Dataset:
    """Return MNIST with the first `count` of its test images.

    Raises:
        SystemExit: where it cannot be read, with the reason.
    """
    try:
        dataset = nn.load_mnist(folder)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    images, labels = dataset.test_images[:count], dataset.test_labels[:count]
    return nn.Dataset(dataset.train_images, dataset.train_labels, images, labels)


def make_network(arguments: Arguments, dataset: nn.Dataset) -> nn.Network:
    """Read the network's weights, or train it and write them."""
    path = arguments.weights or WEIGHTS / f"{arguments.network}.safetensors"
    if arguments.train:
        pipeline.check_writable(path)
        network = train_network(arguments.network, dataset)
        nn.save_weights(network, path)
        return network
    empty = NETWORKS[arguments.network](rngs=nnx.Rngs(0))
    return nn.inference_view(nn.load_weights(empty, path))


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.mnist"))
