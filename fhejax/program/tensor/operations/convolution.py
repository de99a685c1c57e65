"""Convolutions of an encrypted array with a plain kernel; those with an encrypted one are contractions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fhejax.program.tensor.builder import Builder, Tensor
from fhejax.program.tensor.operation import Operation
from fhejax.program.tensor.operations.encrypted_convolution import encrypted_convolution
from fhejax.program.tensor.plain_program import PlainArray
from fhejax.program.tensor.windows import Windows, sliding_windows


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution(Operation):
    """The convolution lax.conv_general_dilated of an encrypted image and a plain kernel.

    Attributes:
        kernel: the weights.
        image_axes: of the image: batch, channels, and the spatial axes.
        kernel_axes: of the kernel: outputs, inputs, and the spatial axes.
        result_axes: of the result: batch, channels, and the spatial axes.
        windows: how the kernel slides over the spatial axes.
        groups: the channels are in as many groups, each with outputs of its own.
    """

    kernel: PlainArray
    image_axes: tuple[int, ...]
    kernel_axes: tuple[int, ...]
    result_axes: tuple[int, ...]
    windows: Windows
    groups: int

    def weights(self) -> np.ndarray:
        """The kernel as [group, output, channel and tap], float64."""
        kernel = np.asarray(self.kernel.array, np.float64).transpose(self.kernel_axes)
        return kernel.reshape(self.groups, kernel.shape[0] // self.groups, -1)

    def evaluate(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The value in the clear."""
        (image,) = values
        patches, spatial = sliding_windows(image.transpose(self.image_axes), 0.0, self.windows)
        patches = patches.reshape(len(patches), self.groups, -1, patches.shape[-1])
        result = np.einsum("gok,bgkp->bgop", self.weights(), patches, optimize=True)
        result = result.reshape(len(patches), -1, *spatial)
        return result.transpose(np.argsort(self.result_axes))


def convolution(builder: Builder, operands: list[Any], params: dict[str, Any]) -> Tensor:
    """The primitive conv_general_dilated.

    Raises:
        ValueError: a plain image with an encrypted kernel, or groups of samples.
    """
    image, kernel = operands
    if not isinstance(image, Tensor):
        raise ValueError(
            "a convolution of a plain image by an encrypted kernel, which has no rule; encrypt the image too"
        )
    image_axes, kernel_axes, result_axes = map(tuple, params["dimension_numbers"])
    windows = Windows(
        tuple(kernel.shape[d] for d in kernel_axes[2:]),
        tuple(params["window_strides"]),
        tuple(map(tuple, params["padding"])),
        tuple(params["lhs_dilation"]),
        tuple(params["rhs_dilation"]),
    )
    if isinstance(kernel, Tensor):
        return encrypted_convolution(builder, image, kernel, windows, params)
    if params["batch_group_count"] != 1:
        raise ValueError("a convolution with batch_group_count above 1 has no rule")
    ordered = (
        image.shape[image_axes[0]],
        kernel.shape[kernel_axes[0]],
        *windows.counts([image.shape[d] for d in image_axes[2:]]),
    )
    shape = tuple(ordered[place] for place in np.argsort(result_axes))
    return builder.append(
        Convolution(
            (image.number,),
            shape,
            builder.label,
            kernel,
            image_axes,
            kernel_axes,
            result_axes,
            windows,
            int(params["feature_group_count"]),
        )
    )
