"""Convert a folded residual network from plain arrays to the weights of `fhejax.nn.ResNet`.

    python -m experiments.resnet_weights folded.safetensors experiments/weights/resnet20.safetensors

The file that is read is described in `experiments/folded_weights.py`.
"""

from collections.abc import Mapping

import numpy as np
import tyro
from flax import nnx

from experiments.folded_weights import Arguments, assign, assign_activation, convert
from fhejax import nn


def main(arguments: Arguments) -> None:
    """Convert a file, and say what it held; errors as of `convert`."""
    network = convert(arguments, "residual", converted)
    print(f"A network of {network.depth} layers is in {arguments.output}.")


def converted(arrays: Mapping[str, np.ndarray]) -> nn.ResNet:
    """The network with these weights.

    Raises:
        KeyError: an array that is missing.
        ValueError: arrays of other shapes, or as many as no residual network has.
    """
    layers = sum(name.startswith("conv") for name in arrays)
    width, classes = arrays["conv0.kernel"].shape[-1], len(arrays["dense.bias"])
    network = nn.ResNet(layers + 1, width=width, classes=classes, rngs=nnx.Rngs(0))
    parts = [network.first_convolution, network.first_activation]
    parts += [layer for block in network.blocks for layer in block.layers()]
    for index in range(layers):
        convolution, activation = parts[2 * index : 2 * index + 2]
        assert isinstance(convolution, nnx.Conv)
        assign(convolution.kernel, arrays[f"conv{index}.kernel"])
        assign_activation(activation, arrays, index)
    assign(network.output.kernel, arrays["dense.kernel"])
    assign(network.output.bias, arrays["dense.bias"])
    return network


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.resnet_weights"))
