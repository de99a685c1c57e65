"""Folded networks from plain arrays to weights of `fhejax.nn`: what every conversion does.

A file of a folded network holds `conv{i}.kernel` (height, width, in, out), `act{i}.a`, `.b` and `.c` of each
channel's a z^2 + b z + c after convolution i, `dense.kernel`, `dense.bias`, and what a client does to images
before: `input.mean`, `input.deviation`, `input.chroma`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
import tyro
from flax import nnx

from experiments import pipeline
from fhejax import approx, nn

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Network)


@dataclass(frozen=True)
class Arguments:
    """Convert a folded network.

    Attributes:
        source: file of plain arrays.
        output: file of weights to write.
        half: write float16, 11 bits of precision.
    """

    source: tyro.conf.Positional[Path]
    output: tyro.conf.Positional[Path]
    half: bool = False


def convert(
    arguments: Arguments, kind: str, converted: Callable[[Mapping[str, np.ndarray]], AnyNetwork]
) -> AnyNetwork:
    """Read a file, convert it, write the weights; the network.

    Args:
        arguments: of the command.
        kind: of network, in messages.
        converted: the network of the arrays of a file.

    Raises:
        SystemExit: what cannot be read, is no such network, or cannot be written, in a sentence.
    """
    pipeline.check_writable(arguments.output)
    try:
        arrays = safetensors.numpy.load_file(arguments.source)
        network, preparation = converted(arrays), preparation_of(arrays)
    except (OSError, safetensors.SafetensorError, KeyError, ValueError) as error:
        raise SystemExit(f"{arguments.source} is no folded {kind} network: {error}.") from error
    dtype = np.float16 if arguments.half else np.float32
    nn.save_weights(network, arguments.output, dtype, preparation=preparation)
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
