"""Numbers as users give them: arrays and single numbers, refused by a sentence where they are none."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.types import is_concrete

_LARGEST_ITEM = {"f": 8, "c": 16}  # bytes of the largest floating-point types that JAX has


def as_numbers(values: Any, operation: str) -> np.ndarray | jax.Array:
    """An array of real or complex numbers, integers or booleans: NumPy's, or JAX's where it was one.

    NumPy's long doubles become doubles, in which everything here is computed.

    Raises:
        TypeError: anything else: None, text, objects, masked entries, nested lists of unequal lengths.
    """
    if _is_masked(values):
        raise TypeError(
            f"{operation} was given a masked array, whose masked entries have no value; fill them first: "
            f"values.filled(0)."
        )
    array = values if isinstance(values, jax.Array) else _converted(values, operation)
    if not _is_numeric(array.dtype):
        raise TypeError(
            f"{operation} was given {_described(values, array)}; it takes real or complex numbers: convert "
            f"them first, as by np.asarray(values, float)."
        )
    kind, size = array.dtype.kind, array.dtype.itemsize
    if size > _LARGEST_ITEM.get(kind, size):
        return array.astype(np.complex128 if kind == "c" else np.float64)
    return array


def _is_masked(values: Any) -> bool:
    parts = values if isinstance(values, list | tuple) else (values,)
    return any(isinstance(part, np.ma.MaskedArray) and np.ma.is_masked(part) for part in parts)


def _converted(values: Any, operation: str) -> np.ndarray | jax.Array:
    try:
        return np.asarray(values)
    except jax.errors.TracerArrayConversionError:  # a list of traced numbers
        with jax.enable_x64(True):
            return jnp.asarray(values)
    except Exception as error:
        raise TypeError(
            f"{operation} was given {type(values).__name__}, which makes no array ({error}); give an array "
            f"of numbers."
        ) from None


def _is_numeric(dtype: Any) -> bool:
    """Whether JAX computes with it: NumPy counts spans of time among the integers."""
    return dtype == np.dtype(bool) or (jnp.issubdtype(dtype, np.number) and dtype.kind != "m")


def _described(values: Any, array: np.ndarray | jax.Array) -> str:
    if array.ndim == 0 and not isinstance(values, np.ndarray | jax.Array):
        return type(values).__name__
    return f"an array of {array.dtype}"


def _from_array(value: Any) -> Any:
    """The Python number that a concrete array without axes holds; anything else as it is."""
    if not isinstance(value, np.ndarray | np.generic | jax.Array) or np.ndim(value) or not is_concrete(value):
        return value
    if not _is_numeric(value.dtype) or value.dtype.kind == "c":
        return value
    return value.item() if value.dtype.itemsize <= _LARGEST_ITEM["f"] else float(value)


def exact_number(value: Any, operation: str) -> Fraction:
    """One real number, exactly.

    Raises:
        TypeError: a number that is not real, or is traced by JAX, and whatever is no number.
        ValueError: a number that is not finite.
    """
    value = _from_array(value)
    if not isinstance(value, int | float | Fraction):
        given = type(value).__name__ if is_concrete(value) else "a number traced by JAX"
        raise TypeError(
            f"{operation} was given {given}; it takes one real number, the same for every slot. Encode a "
            f"vector, or complex or traced numbers, and use add, subtract or multiply_plain."
        )
    if isinstance(value, float) and not np.isfinite(value):
        raise ValueError(f"{operation} was given {value}; a finite number is needed.")
    return Fraction(value)
