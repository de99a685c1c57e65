"""Convert a folded shallow network from plain arrays to the weights of `fhejax.nn.ShallowCifar`.

    python -m experiments.shallow_weights folded.safetensors experiments/weights/shallow.safetensors

The file that is read is laid out as the one for `experiments.resnet_weights`, with four convolutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy
import tyro
from flax import nnx

from experiments import pipeline
from experiments.resnet_weights import assign, assign_activation, preparation_of
from fhejax import nn


@dataclass(frozen=True)
class Arguments:
    """Convert a folded shallow network.

    Attributes:
        source: file of plain arrays.
        output: file of weights to write.
        half: write float16, 11 bits of precision.
    """

    source: tyro.conf.Positional[Path]
    output: tyro.conf.Positional[Path]
    half: bool = False


def main(arguments: Arguments) -> None:
    """Read, convert, write.

    Raises:
        SystemExit: what cannot be read, is no such network, or cannot be written, in a sentence.
    """
    pipeline.check_writable(arguments.output)
    try:
        arrays = safetensors.numpy.load_file(arguments.source)
        network, preparation = converted(arrays), preparation_of(arrays)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise SystemExit(f"{arguments.source} is no folded shallow network: {error}.") from error
    dtype = np.float16 if arguments.half else np.float32
    nn.save_weights(network, arguments.output, dtype, preparation=preparation)
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
