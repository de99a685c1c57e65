"""What the arguments of a program are: encrypted or plain, of which shape and range."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Encrypted:
    """An argument the server sees only encrypted.

    Attributes:
        shape: of the whole array, batch included.
        range: (lowest, highest) value; encryption refuses what lies outside.
        batch_axis: the axis that lies in the slots, or None for one value in all slots.
        dtype: floating-point type that the function is traced with.
    """

    shape: tuple[int, ...]
    range: tuple[float, float] = (-1.0, 1.0)
    batch_axis: int | None = 0
    dtype: Any = jnp.float32


@dataclasses.dataclass(frozen=True)
class Plain:
    """An argument the server sees in the clear: its value is given to `compile` and snapshotted."""

    value: Any

    def __hash__(self) -> int:
        return id(self.value)


def describe(argument: Any) -> "Encrypted | Plain":
    """An argument's description, checked; a bare shape means `Encrypted` with its defaults.

    Raises:
        TypeError, ValueError: when it is no description, or one that cannot be met.
    """
    if isinstance(argument, jax.ShapeDtypeStruct):
        argument = Encrypted(tuple(argument.shape), dtype=argument.dtype)
    if isinstance(argument, Plain):
        return argument
    if not isinstance(argument, Encrypted):
        raise TypeError(
            f"compile was given an argument of type {type(argument).__name__}; describe each argument "
            f"by fhejax.Encrypted(shape, range=(low, high)), fhejax.Plain(value) or "
            f"jax.ShapeDtypeStruct."
        )
    _check_encrypted(argument)
    axis = argument.batch_axis
    if axis is not None and axis < 0:
        argument = dataclasses.replace(argument, batch_axis=axis + len(argument.shape))
    return argument


def _check_encrypted(argument: Encrypted) -> None:
    low, high = argument.range
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"an encrypted argument has the range ({low}, {high}); it needs finite low < high, the "
            f"values that the data can take."
        )
    axis = argument.batch_axis
    if axis is not None and not -len(argument.shape) <= axis < len(argument.shape):
        raise ValueError(
            f"an encrypted argument of shape {argument.shape} has batch_axis={axis}; name one of its "
            f"axes, or None for one value in all slots."
        )
    if any(size < 1 for size in argument.shape):
        raise ValueError(f"an encrypted argument has the empty shape {argument.shape}.")
    if not jnp.issubdtype(argument.dtype, jnp.floating):
        raise TypeError(
            f"an encrypted argument has dtype {argument.dtype}; only real floating-point arguments "
            f"are encrypted: convert the data to float32."
        )


def check_values(argument: Encrypted, values: Any) -> np.ndarray:
    """`values` as float64, or a sentence that says what is wrong with them.

    Fewer samples than planned are accepted (and padded later); more are refused.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"values of dtype {array.dtype} were to be encrypted; real numbers are needed."
        )
    _check_shape(argument, array.shape)
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ValueError(
            f"{count} of the values to be encrypted are NaN or infinite; replace them first."
        )
    low, high = argument.range
    slack = 1e-6 * (high - low)
    if array.size and (array.min() < low - slack or array.max() > high + slack):
        raise ValueError(
            f"the values to be encrypted lie in [{array.min():.6g}, {array.max():.6g}], outside the "
            f"range ({low:g}, {high:g}) that the program was planned for, so the result could "
            f"overflow; scale the data, or compile with range=({array.min():.6g}, {array.max():.6g})."
        )
    return array


def _check_shape(argument: Encrypted, shape: tuple[int, ...]) -> None:
    planned, axis = argument.shape, argument.batch_axis
    if len(shape) == len(planned):
        same = [i for i in range(len(planned)) if i != axis]
        if all(shape[i] == planned[i] for i in same):
            if axis is None or 1 <= shape[axis] <= planned[axis]:
                return
            raise ValueError(
                f"{shape[axis]} samples were to be encrypted, and the program was planned for 1 to "
                f"{planned[axis]}; encrypt them in several batches, or compile with a larger batch."
            )
    raise ValueError(
        f"an array of shape {shape} was to be encrypted, and the program was planned for {planned}"
        + ("" if axis is None else f" (at most {planned[axis]} along axis {axis})")
        + "; reshape the data or compile for this shape."
    )
