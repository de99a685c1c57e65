"""Convert a folded residual network from plain arrays to the weights of `fhejax.nn.ResNet`.

    python -m experiments.resnet_weights folded.safetensors experiments/weights/resnet20.safetensors

The file that is read holds `conv{i}.kernel` (height, width, in, out), `act{i}.a`, `.b` and `.c` of each
channel's a z^2 + b z + c after convolution i, `dense.kernel`, `dense.bias`, and what a client does to images
before: `input.mean`, `input.deviation`, `input.chroma`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
import tyro
from flax import nnx

from experiments import pipeline
from fhejax import approx, nn


@dataclass(frozen=True)
class Arguments:
    """Convert a folded residual network.

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
        raise SystemExit(f"{arguments.source} is no folded residual network: {error}.") from error
    dtype = np.float16 if arguments.half else np.float32
    nn.save_weights(network, arguments.output, dtype, preparation=preparation)
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


def assign_activation(activation: object, arrays: Mapping[str, np.ndarray], index: int) -> None:
    """Put a z^2 + b z + c of each channel into a quadratic activation.

    Raises:
        KeyError: an array that is missing.
        ValueError: arrays of other shapes.
    """
    assert isinstance(activation, nn.PolynomialActivation)
    monomials = np.stack([arrays[f"act{index}.{name}"].astype(np.float64) for name in "cba"], -1)
    polynomial = approx.Polynomial.from_monomial(monomials, activation.interval)
    assign(activation.coefficients, np.asarray(polynomial.coefficients))


def assign(variable: nnx.Variable | None, array: np.ndarray) -> None:
    """Put an array of the same shape into a variable, as float32.

    Raises:
        ValueError: another shape.
    """
    shape = None if variable is None else variable.shape
    if variable is None or shape != array.shape:
        raise ValueError(f"an array of shape {array.shape} stands where {shape} is needed")
    variable[...] = jnp.asarray(array, jnp.float32)


def preparation_of(arrays: Mapping[str, np.ndarray]) -> nn.Preparation:
    """The client's preparation of images that belongs to these weights."""
    mean, deviation = (tuple(arrays[f"input.{name}"].tolist()) for name in ("mean", "deviation"))
    return nn.Preparation(mean, deviation, arrays["input.chroma"].item())


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.resnet_weights"))
