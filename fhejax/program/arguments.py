"""What the arguments of a program are: encrypted or plain, of which shape and range."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


@dataclasses.dataclass(frozen=True)
class Encrypted:
    """An argument the server sees only encrypted: data, labels, or weights and state (batch_axis None).

    Sums over the batch axis count the samples that are there. Where fewer are encrypted than `shape` says,
    the missing ones weigh nothing, while a mean divides by the number in `shape`.

    Attributes:
        shape: of the whole array, batch included.
        range: (lowest, highest) value; encryption refuses what lies outside.
        batch_axis: the axis that lies in the slots, or None for one value in all slots.
        dtype: floating-point type that the function is traced with.
        public_key: whether clients may encrypt it with a public key: the program then keeps its precision
            with the noise of that, some 6 or 7 bits more, and nothing of what is sent is a seed.
    """

    shape: tuple[int, ...]
    range: tuple[float, float] = (-1.0, 1.0)
    batch_axis: int | None = 0
    dtype: Any = jnp.float32
    public_key: bool = False


@dataclasses.dataclass(frozen=True)
class Plain:
    """An argument the server sees in the clear, given anew with every call: weights or masks.

    What the function computes from plain arguments alone is computed in the clear at the call, which is
    therefore not traced by jax.jit in that argument. What never changes is better closed over.

    Attributes:
        shape: of the whole array.
        range: (lowest, highest) value; a call refuses what lies outside.
        dtype: the type that the function is traced with.
    """

    shape: tuple[int, ...]
    range: tuple[float, float] = (-1.0, 1.0)
    dtype: Any = jnp.float32

    def placeholder(self, seed: int) -> np.ndarray:
        """The numbers of the largest magnitude, of both signs, on which the planner works."""
        low, high = self.range
        edge = low if abs(low) > abs(high) else high
        signs = np.random.default_rng(seed).choice([-1.0, 1.0] if low < 0 < high else [1.0], self.shape)
        return self._near(edge * signs, seed)

    def other_placeholders(self, seed: int) -> list[np.ndarray]:
        """The numbers that bounds are worked out for besides: both ends of the range, and any in between."""
        low, high = self.range
        uniform = np.random.default_rng(seed).uniform(low, high, self.shape)
        return [self._near(np.full(self.shape, v), seed) for v in (low, high)] + [uniform.astype(self.dtype)]

    def _near(self, values: np.ndarray, seed: int) -> np.ndarray:
        """Numbers of the range next to some, of which no two are equal."""
        spread = 1 - 1e-3 * np.random.default_rng([seed, 1]).random(self.shape)
        return np.clip(values * spread, *self.range).astype(self.dtype)


def describe(argument: Any) -> "Encrypted | Plain":
    """The description of an argument, checked; a bare shape means `Encrypted` with its defaults.

    Raises:
        TypeError, ValueError: when it is no description, or one that cannot be met.
    """
    if isinstance(argument, jax.ShapeDtypeStruct):
        argument = Encrypted(tuple(argument.shape), dtype=argument.dtype)
    if isinstance(argument, Plain):
        _check_range(argument.range, "a plain")
        _check_is_shape(argument.shape)
        _check_holds_range(argument)
        return argument
    if not isinstance(argument, Encrypted):
        raise TypeError(
            f"compile was given an argument of type {type(argument).__name__}; describe each argument "
            f"by fhejax.Encrypted(shape, range=(low, high)), fhejax.Plain(shape) or "
            f"jax.ShapeDtypeStruct."
        )
    _check_encrypted(argument)
    axis = argument.batch_axis
    if axis is None:
        return argument
    return dataclasses.replace(argument, batch_axis=int(axis) % len(argument.shape))


def _check_is_shape(shape: Any) -> None:
    if not isinstance(shape, tuple) or not all(isinstance(n, (int, np.integer)) for n in shape):
        raise TypeError(
            f"an argument has the shape {shape!r}; a shape is a tuple of whole numbers, such as (8192, 10)."
        )


def _check_range(bounds: tuple[float, float], kind: str) -> None:
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        raise TypeError(
            f"{kind} argument has the range {bounds!r}; a range is a pair of numbers (low, high)."
        ) from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            f"{kind} argument has the range ({low}, {high}); it needs finite low < high, the values that "
            f"the data can take."
        )


def _check_holds_range(argument: Plain) -> None:
    """Refuse a range whose ends are infinite in the type in which the function is traced."""
    if not jnp.issubdtype(argument.dtype, jnp.floating):
        return
    largest = float(jnp.finfo(argument.dtype).max)
    if max(map(abs, argument.range)) > largest:
        raise ValueError(
            f"a plain argument of {jnp.dtype(argument.dtype)} has the range {tuple(argument.range)}, and "
            f"numbers of that type are at most {largest:g}; narrow the range, or give it another dtype."
        )


def _check_encrypted(argument: Encrypted) -> None:
    if not isinstance(argument.public_key, bool):
        raise TypeError(
            f"an encrypted argument has public_key={argument.public_key!r}; it is True where clients encrypt "
            f"with a public key, else False."
        )
    _check_range(argument.range, "an encrypted")
    _check_is_shape(argument.shape)
    axis = argument.batch_axis
    if axis is not None and (isinstance(axis, bool) or not isinstance(axis, int | np.integer)):
        raise TypeError(
            f"an encrypted argument of shape {argument.shape} has batch_axis={axis!r}; samples lie along one "
            f"axis, so give its number, or None for one value in all slots."
        )
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
    """The values to be encrypted, as float64 of a shape and range that the argument describes.

    Args:
        argument: the description that the program was planned with.
        values: an array; fewer samples than planned are accepted (and padded later).

    Returns:
        float64, of the shape of `values`.

    Raises:
        TypeError: values that are traced, or no real numbers.
        ValueError: a masked array, another shape, too many samples, NaN, or values outside the range.
    """
    if isinstance(values, Tracer):
        raise TypeError(
            "values to be encrypted are being traced, as inside jax.jit or jax.vmap; encrypt draws "
            "randomness and checks its values, so call it outside, on numbers."
        )
    if np.ma.is_masked(values):
        raise ValueError(
            "a masked array was to be encrypted, whose mask would be lost; fill it with values.filled(0)."
        )
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"values of dtype {array.dtype} were to be encrypted; real numbers are needed.")
    _check_shape(argument, array.shape)
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise ValueError(f"{count} of the values to be encrypted are NaN or infinite; replace them first.")
    low, high = argument.range
    slack = 1e-6 * (high - low)
    if array.size and (array.min() < low - slack or array.max() > high + slack):
        raise ValueError(
            f"the values to be encrypted lie in [{array.min():.6g}, {array.max():.6g}], outside the "
            f"range ({low:g}, {high:g}) that the program was planned for, so the result could "
            f"overflow; scale the data, or compile with range=({array.min():.6g}, {array.max():.6g})."
        )
    return array


def for_any_samples(argument: Encrypted, values: Any) -> Encrypted:
    """The description with as many samples as an array holds, where those are more than a call takes.

    Args:
        argument: the description.
        values: an array, or anything else, for which the description is as it was.
    """
    axis, shape = argument.batch_axis, np.shape(values)
    if axis is None or len(shape) != len(argument.shape) or shape[axis] <= argument.shape[axis]:
        return argument
    widened = (*argument.shape[:axis], shape[axis], *argument.shape[axis + 1 :])
    return dataclasses.replace(argument, shape=widened)


@dataclasses.dataclass(frozen=True)
class Normalisation:
    """How the values of an argument are encrypted: (value - centre) / unit, which lies in [-1, 1].

    So the scale of a ciphertext follows the range of its values, be they below 1e-6 or above 2^40.

    Attributes:
        centre: zero where the range has it, so that zero stays zero; else the middle of the range.
        unit: the power of two next to the largest distance from there, so that nothing is rounded.
    """

    centre: float
    unit: float

    def normalised(self, values: Any) -> Any:
        """The numbers that are encrypted for some values."""
        return (values - self.centre) / self.unit

    def restored(self, numbers: Any) -> Any:
        """The values that some encrypted numbers stand for."""
        return numbers * self.unit + self.centre


def normalisation(argument: Encrypted) -> Normalisation:
    """The normalisation of an encrypted argument, by its range."""
    low, high = map(float, argument.range)
    centre = 0.0 if low <= 0 <= high else low / 2 + high / 2
    largest = max(abs(low - centre), abs(high - centre))
    return Normalisation(centre, 2.0 ** math.ceil(math.log2(largest)))


def filler(argument: Encrypted) -> float:
    """The encrypted number in slots without a sample: that of zero, or of the end of the range next to it."""
    low, high = map(float, argument.range)
    return normalisation(argument).normalised(min(max(0.0, low), high))


def check_plain(argument: Plain, values: Any) -> np.ndarray:
    """The value of a plain argument of a call, of the dtype that the function was traced with.

    Args:
        argument: the description that the program was planned with.
        values: an array of its shape.

    Raises:
        TypeError: values that are traced, or no real numbers.
        ValueError: another shape, NaN, or values outside the range.
    """
    if isinstance(values, Tracer):
        raise TypeError(
            "a plain argument of a program was traced; its value decides the integers that the circuit "
            "multiplies by, so call the program directly, or close the jitted function over the value."
        )
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(f"a plain argument holds {array.dtype}; real numbers are needed.")
    low, high = argument.range
    if array.shape != tuple(argument.shape) or not np.isfinite(array).all():
        raise ValueError(
            f"a plain argument of shape {array.shape} was passed; finite numbers of shape "
            f"{tuple(argument.shape)} are needed."
        )
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(
            f"a plain argument holds values in [{array.min():.6g}, {array.max():.6g}], outside the range "
            f"({low:g}, {high:g}) that the program was planned for; compile with a wider range."
        )
    return array.astype(argument.dtype)


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
