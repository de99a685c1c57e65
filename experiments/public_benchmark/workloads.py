"""The networks of the benchmark: ResNet-20 on CIFAR-10, and a tiny one to try the stages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import numpy as np
from flax import nnx

import fhejax
from experiments import resnet
from fhejax import nn
from fhejax.nn.models import LayerFunction

WorkloadName = Literal["resnet20", "tiny"]
_TINY_SHAPE = (4, 4, 3)


class TinyNetwork(nn.Network):
    """One convolution with a quadratic after it, and a dense layer, on images of 4x4."""

    image_shape = _TINY_SHAPE

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.convolution = nnx.Conv(3, 2, (3, 3), rngs=rngs)
        self.output = nnx.Linear(32, 10, rngs=rngs)

    def layers(self) -> tuple[LayerFunction, ...]:
        """The layers in order."""
        return (self.convolution, jax.numpy.square, _flat, self.output)


@dataclass(frozen=True)
class TestImages:
    """Images in [0, 1], and their labels."""

    images: np.ndarray
    labels: np.ndarray


def experiment_of(workload: WorkloadName, data_dir: Path | None) -> resnet.Experiment:
    """The trained network with the preparation of its images, and some training images.

    Args:
        workload: which.
        data_dir: of CIFAR-10.

    Raises:
        SystemExit: data that cannot be read.
    """
    if workload == "tiny":
        generator = np.random.default_rng(0)
        images, labels = generator.random((8, *_TINY_SHAPE), np.float32), np.arange(8, dtype=np.int32)
        network = nn.inference_view(TinyNetwork(rngs=nnx.Rngs(1)))
        preparation = nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.5, _TINY_SHAPE)
        return resnet.Experiment("a tiny network", network, preparation, images[:4], images[4:], labels[4:])
    network, preparation, dataset = resnet.load(resnet.Arguments(data_dir=data_dir))
    images = dataset.train_images[: resnet.CANDIDATES].copy()
    return resnet.Experiment(
        "ResNet-20", network, preparation, images, dataset.test_images, dataset.test_labels
    )


def test_images(workload: WorkloadName, data_dir: Path | None, count: int) -> TestImages:
    """The first test images of a workload; the tiny one has few, which come again and again."""
    if workload == "resnet20":
        try:
            dataset = nn.load_cifar10(data_dir)
        except (FileNotFoundError, ValueError) as error:
            raise SystemExit(str(error)) from error
        return TestImages(dataset.test_images[:count], dataset.test_labels[:count])
    found = experiment_of(workload, data_dir)
    numbers = np.arange(count) % len(found.images)
    return TestImages(found.images[numbers], found.labels[numbers])


def program_of(workload: WorkloadName, experiment: resnet.Experiment) -> fhejax.Program:
    """The program of a network for one image, planned on some training images."""
    if workload == "tiny":
        options = resnet.Arguments(precision_bits=6, margin=3.0, insecure_log_degree=6)
        return resnet.compile_network(experiment, experiment.preparation(experiment.candidates), options)
    chosen, _ = resnet.sample_of(experiment)
    return resnet.compile_network(experiment, chosen, resnet.Arguments())


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape[0], -1)
