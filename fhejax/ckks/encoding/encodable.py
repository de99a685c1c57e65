"""What can be encoded: numbers that are finite, fit the modulus of a level, and do not round to zero.

A vector fits where its largest coefficient does. No coefficient is larger than the mean magnitude of the
slots, and the largest is not below it over the square root of the ambient degree: in nearly every case these
two bounds decide, without a transform.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.encoding.canonical_embedding import largest_coefficients
from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import is_concrete
from fhejax.ring.wide import kernel, wide

_FLOAT_BITS = 1000  # powers of two within float64


def encoding_place(params: Parameters, level: int | None, scale: Scale | float | None) -> tuple[int, Scale]:
    """(level, scale), by default the highest and its own.

    Raises:
        ValueError: no such level, or a scale that is not positive and finite.
    """
    level = params.depth if level is None else level
    params.level_moduli(level)
    return level, params.scales[level] if scale is None else Scale.of(scale)


def slot_values(params: Parameters, values: object, operation: str) -> np.ndarray | jax.Array:
    """Numbers [..., at most `slots`], of any dtype.

    Raises:
        TypeError: what is no array of numbers.
        ValueError: too many, no axis, or complex numbers in a real ring.
    """
    array = as_numbers(values, operation)
    if array.ndim == 0 or array.shape[-1] > params.slots:
        raise ValueError(
            f"{operation} was given shape {array.shape}; the last axis may hold at most {params.slots} "
            f"values, the slots of these parameters. Give one number as np.full(params.slots, number)."
        )
    if params.ring.conjugate_invariant and jnp.issubdtype(array.dtype, np.complexfloating):
        raise ValueError(
            "complex values were given to parameters of the conjugate-invariant ring, whose slots are "
            "real; pass the real part, or make parameters with real=False."
        )
    return array


def padded(params: Parameters, values: np.ndarray | jax.Array) -> jax.Array:
    """All slots of `slot_values` on the device, those that are missing zero, with all their bits."""
    with jax.enable_x64(True):  # NumPy's 64-bit numbers would be cut to 32 bits outside
        values = jnp.asarray(values)
        missing = params.slots - values.shape[-1]
        return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]) if missing else values


def check_encodable(
    params: Parameters,
    values: np.ndarray | jax.Array,
    level: int,
    scale: Scale,
    *,
    vanishing: bool = False,
) -> None:
    """Refuse, when called eagerly, `slot_values` that cannot be encoded.

    Args:
        params: of the encoding.
        values: [..., at most `slots`].
        level: of the encoding.
        scale: of the encoding.
        vanishing: whether they may all round to zero.

    Raises:
        ValueError: values that are not finite or too large, or of which nothing is left.
    """
    if not is_concrete(values) or not values.size:
        return
    values = np.asarray(values)
    means = _mean_magnitudes(params, values)
    if not np.isfinite(means).all() and not np.isfinite(values.astype(np.complex128)).all():
        raise ValueError("a NaN or infinite value was to be encoded; replace it before encoding.")
    limit = math.log2(math.prod(params.level_moduli(level))) - 1 - scale.bits
    if not _log2(means).max() < limit:
        _check_largest(params, values, limit, scale)
    if not vanishing and _vanish(params, values, means, scale):
        raise ValueError(
            f"values of mean magnitude {means.max():.3g} were to be encoded at scale {scale}, where all of "
            f"their coefficients round to zero; encode at a larger scale, or multiply them first and divide "
            f"the result."
        )


def _mean_magnitudes(params: Parameters, values: np.ndarray) -> np.ndarray:
    """The mean magnitude over all slots, float64 [...]: those that are missing are zero."""
    wide_values = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    return np.abs(wide_values).sum(-1) / params.slots


def _check_largest(params: Parameters, values: np.ndarray, limit: float, scale: Scale) -> None:
    bits = _largest_bits(params, values)
    if not bits.max() < limit:
        raise ValueError(
            f"values of mean magnitude {_mean_magnitudes(params, values).max():.3g} and coefficients up to "
            f"{_power(bits.max())} were to be encoded at scale {scale} with a modulus of "
            f"2**{limit + 1 + scale.bits:.1f}, which holds at most {_power(limit)}; divide them first, or "
            f"encode at a smaller scale or a higher level."
        )


def _largest_bits(params: Parameters, values: np.ndarray) -> np.ndarray:
    """log2 of the largest coefficient of each vector, before it is multiplied by a scale."""
    return _log2(np.asarray(largest_coefficients(padded(params, values), params.ring)))


def rounds_to_zero(params: Parameters, values: np.ndarray, scale: Scale) -> bool:
    """Whether concrete values other than zero leave no coefficient at this scale: every vector of a batch."""
    return bool(values.size) and _vanish(params, values, _mean_magnitudes(params, values), scale)


def _vanish(params: Parameters, values: np.ndarray, means: np.ndarray, scale: Scale) -> bool:
    half = -1 - scale.bits
    lowest = _log2(means) - math.log2(params.ring.expansion) / 2
    if lowest.max() > half or not values.any():
        return False
    return bool(_largest_bits(params, values).max() <= half)


def _log2(magnitudes: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log2(magnitudes)


def _power(bits: float) -> str:
    """2**bits for people."""
    return f"{2.0**bits:.3g}" if abs(bits) < _FLOAT_BITS else f"2**{bits:.0f}"


def is_encodable(
    params: Parameters,
    values: jax.Array | np.ndarray,
    *,
    level: int | None = None,
    scale: Scale | float | None = None,
) -> jax.Array:
    """Whether `encode` keeps each vector: what it checks when called eagerly, for use under jit and vmap.

    Args:
        params: as of `encode`.
        values: real or complex [..., at most `slots`].
        level: by default the highest.
        scale: by default the level's own.

    Returns:
        bool [...], for each vector: every value is finite, every coefficient fits the level's modulus at this
        scale and, unless all values are zero, at least one of them does not round to zero.

    Raises:
        TypeError: values that are no numbers.
        ValueError: too many values, no axis, or complex values in a real ring.
    """
    level, scale = encoding_place(params, level, scale)
    values = padded(params, slot_values(params, values, "is_encodable"))
    largest = math.log2(math.prod(params.level_moduli(level))) - 1 - scale.bits
    bounds = np.exp2(np.clip([-1 - scale.bits, largest], -_FLOAT_BITS, _FLOAT_BITS))
    with jax.enable_x64(True):
        return _within(values, jnp.asarray(bounds), params)


@functools.partial(kernel, static_argnames="params")
@wide
def _within(values: jax.Array, bounds: jax.Array, params: Parameters) -> jax.Array:
    largest = largest_coefficients(values, params.ring)
    return ((largest > bounds[0]) | (largest == 0)) & (largest < bounds[1])
