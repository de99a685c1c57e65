"""Convert a folded shallow network from plain arrays to the weights of `fhejax.nn.ShallowCifar`.

    python -m experiments.shallow_weights folded.safetensors experiments/weights/shallow.safetensors

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
    network = convert(arguments, "shallow", converted)
    print(f"A network of {len(network.convolutions)} convolutions is in {arguments.output}.")


def converted(arrays: Mapping[str, np.ndarray]) -> nn.ShallowCifar:
    """The network with these weights.

    Raises:
        KeyError: an array that is missing.
        ValueError: arrays of other shapes.
    """
    network = nn.ShallowCifar(rngs=nnx.Rngs(0))
    for index, convolution in enumerate(network.convolutions):
        assign(convolution.kernel, arrays[f"conv{index}.kernel"])
        assign_activation(network.activations[index], arrays, index)
    assign(network.output.kernel, arrays["dense.kernel"])
    assign(network.output.bias, arrays["dense.bias"])
    return network


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.shallow_weights"))
