"""Checks of what fits and polynomials are given: degrees, counts, numbers, arrays and parameters."""

import math
import numbers
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

LARGEST_DEGREE = 1023


def check_real(value: Any, what: str) -> float:
    """The value as a finite float.

    Args:
        value: a real number known before tracing.
        what: the noun by which the message calls it; so in all of this module.

    Raises:
        TypeError: no real number.
        ValueError: an infinite number or NaN.
    """
    number = real_number(value)
    if number is None:
        raise TypeError(
            f"the {what} is a real number, but {shown(value)} of type {type(value).__name__} was given; pass "
            "a Python float."
        )
    if not math.isfinite(number):
        raise ValueError(f"the {what} is finite, but {number} was given; pass a finite number.")
    return number


def check_function_parameters(parameters: Any) -> tuple[Any, ...]:
    """The parameters of a function as a tuple.

    Args:
        parameters: a sequence or array of real numbers, or of pytrees of them; they may be traced.

    Raises:
        TypeError: no sequence, or something in it that is no real number and no array of them.
    """
    is_array = isinstance(parameters, np.ndarray | jax.Array) and parameters.ndim > 0
    if not isinstance(parameters, tuple | list) and not is_array:
        raise TypeError(
            f"the parameters of a function are a tuple of real numbers, but {shown(parameters)} of type "
            f"{type(parameters).__name__} was given; pass for example (0.5,)."
        )
    for parameter in jax.tree.leaves(tuple(parameters), is_leaf=lambda leaf: leaf is None):
        if not is_traced(parameter) and np.asarray(parameter).dtype.kind not in "biuf":
            raise TypeError(
                f"the parameters of a function are real numbers, but {shown(parameter)} of type "
                f"{type(parameter).__name__} is one of those given; pass a float or an array of floats."
            )
    return tuple(parameters)


def check_flag(value: Any, what: str) -> bool:
    """The value itself, if it is True or False.

    Raises:
        TypeError: anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"the {what} is True or False, but {shown(value)} was given; pass one of these.")
    return bool(value)


def check_array(values: Any, what: str) -> jax.Array:
    """The values as a JAX array of numbers, in their own shape and JAX's dtype for them.

    Raises:
        TypeError: no numbers.
    """
    try:
        # JAX would take some strings for dtypes.
        known = values if isinstance(values, jax.Array) else np.asarray(values)
        if known.dtype.kind in "OSUMm":
            raise TypeError("not numbers")
        return jnp.asarray(values)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(
            f"the {what} is an array of numbers, but {shown(values)} of type {type(values).__name__} was "
            "given; pass an array of floats."
        ) from None


def check_real_array(values: Any, what: str) -> jax.Array:
    """The values as a JAX array of integers or floats, in their own shape.

    Raises:
        TypeError: no real numbers.
    """
    array = check_array(values, what)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(
            f"the {what} is an array of real numbers, but one of dtype {array.dtype} was given; convert it "
            "to a floating dtype."
        )
    return array


def check_axis(axis: Any, array: jax.Array) -> int:
    """The axis of an array, counted from 0.

    Args:
        axis: an integer, counted from the end where negative.
        array: the array that is to have it.

    Raises:
        TypeError: no integer.
        ValueError: an axis that the array has not.
    """
    try:
        index = operator.index(axis)
    except TypeError:
        index = None
    if index is None or isinstance(axis, bool):
        raise TypeError(
            f"an axis is an integer, but {shown(axis)} of type {type(axis).__name__} was given; pass for "
            "example -1."
        )
    if not -array.ndim <= index < array.ndim:
        raise ValueError(f"there is no axis {index} in an array of shape {array.shape}; pass another axis.")
    return index % array.ndim


def is_zero(value: Any) -> bool:
    """Whether the value is the number 0, and neither an array nor something that cannot be compared."""
    return not isinstance(value, bool) and real_number(value) == 0.0


def check_positive(value: Any, what: str) -> float:
    """The value as a finite and positive float.

    Raises:
        TypeError: no real number known before tracing.
        ValueError: zero, a negative or infinite number, or NaN.
    """
    number = real_number(value)
    if number is None:
        raise TypeError(
            f"the {what} is a real number, but {shown(value)} of type {type(value).__name__} was given; pass "
            "a Python float."
        )
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"the {what} is finite and positive, but {number} was given; pass a number above 0.")
    return number


def check_degree(degree: Any, largest: int | None = LARGEST_DEGREE) -> int:
    """The degree as a Python int.

    Args:
        degree: an integer of at least 0.
        largest: the largest that is allowed; None for any.

    Raises:
        TypeError: no integer.
        ValueError: a negative one, or one above `largest`.
    """
    value = _natural(degree, "a degree", 7)
    if largest is not None and value > largest:
        raise ValueError(
            f"a degree is at most {largest} here, but {value} was given; compositions of polynomials of low "
            "degree (approx.composite, approx.extend, approx.reciprocal) reach further at less depth."
        )
    return value


def check_count(count: Any, what: str, largest: int | None = None) -> int:
    """The count as a Python int.

    Args:
        count: an integer of at least 0.
        what: the noun by which the message calls it.
        largest: the largest that is allowed; None for any.

    Raises:
        TypeError: no integer.
        ValueError: a negative one, or one above `largest`.
    """
    value = _natural(count, f"the {what}", 2)
    if largest is not None and value > largest:
        raise ValueError(f"the {what} is at most {largest}, but {value} was given; pass a smaller one.")
    return value


def _natural(number: Any, subject: str, example: int) -> int:
    try:
        value = operator.index(number)
    except TypeError:
        value = None
    if value is None or isinstance(number, bool):
        raise TypeError(
            f"{subject} is an integer, but {shown(number)} of type {type(number).__name__} was given; "
            f"pass for example {example}."
        )
    if value < 0:
        raise ValueError(f"{subject} is at least 0, but {value} was given; pass for example {example}.")
    return value


def is_traced(value: Any) -> bool:
    """Whether the value is a stand-in inside jit, grad, vmap or another transformation."""
    return isinstance(value, Tracer)


def coefficients_on_host(coefficients: Any, purpose: str) -> np.ndarray:
    """The coefficients of a polynomial as a NumPy array of float64, in their own shape.

    Args:
        coefficients: an array of real numbers.
        purpose: what is done with them on the host, for the message.

    Raises:
        TypeError: traced coefficients.
    """
    if is_traced(coefficients):
        raise TypeError(
            f"the coefficients of a polynomial are {purpose} on the host, but they are traced by a "
            "JAX transformation; do it outside of the transformed function."
        )
    return np.asarray(coefficients, dtype=np.float64)


def real_number(value: Any) -> float | None:
    """The value as a Python float, infinite if it is too large for one; None if it is no real number."""
    scalar = _as_scalar(value)
    if not _is_real(scalar):
        return None
    try:
        return float(scalar)
    except OverflowError:
        return math.inf if scalar > 0 else -math.inf


def _as_scalar(value: Any) -> Any:
    is_array = isinstance(value, np.generic | np.ndarray | jax.Array)
    return value.item() if is_array and value.ndim == 0 and not is_traced(value) else value


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """The text by which messages show an object that was given: at most 80 characters of its first line."""
    text = "a traced value" if is_traced(value) else repr(value)
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= 80 else f"{line[:77]}..."
