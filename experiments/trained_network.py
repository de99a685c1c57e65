"""A trained network as the experiments read it: weights, the preparation of its images, and CIFAR-10."""

from pathlib import Path
from typing import TypeVar

from fhejax import nn

Trained = TypeVar("Trained", bound=nn.Network)


def trained_network(network: Trained, path: Path) -> tuple[Trained, nn.Preparation]:
    """The network in inference mode with the weights of a file, and the preparation of its images.

    Args:
        network: of any weights.
        path: of a safetensors file.

    Raises:
        SystemExit: a file that cannot be read, with the reason.
    """
    try:
        return nn.inference_view(nn.load_weights(network, path)), nn.load_preparation(path)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error


def read_cifar10(folder: Path | None) -> nn.Dataset:
    """CIFAR-10 from a folder of its binary files, or from tensorflow-datasets without one.

    Raises:
        SystemExit: where it cannot be read, with the reason.
    """
    try:
        return nn.load_cifar10(folder)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
