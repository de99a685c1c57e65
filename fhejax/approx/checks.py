"""Validation of what fits and polynomials are given: degrees, intervals, host values."""

import itertools
import math
import numbers
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Inside these bounds the affine map to [-1, 1] neither overflows nor underflows in float32.
LARGEST_END = 1e30
SMALLEST_WIDTH = 1e-30
# Of so narrow an interval, relative to its ends, float64 has a few million points.
SMALLEST_RELATIVE_WIDTH = 1e-9
MOST_INTERVALS = 16
LARGEST_DEGREE = 1023


def check_interval(interval: Any) -> tuple[float, float]:
    """The interval as two Python floats a < b.

    Errors: TypeError unless it is a pair of real numbers; ValueError unless both are finite, at
    most 1e30 in magnitude, in increasing order and at least 1e-30 and 1e-9 of their size apart.
    """
    try:
        start, stop = interval
    except (TypeError, ValueError):
        raise TypeError(
            f"an interval is a pair (a, b) of real numbers, but {shown(interval)} was given; "
            "pass for example (-8.0, 8.0)."
        ) from None
    start, stop = _real(start, interval), _real(stop, interval)
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise ValueError(
            f"the interval ({start}, {stop}) has an end that is not finite; "
            "a polynomial approximates on a bounded interval, so give two finite ends."
        )
    if start >= stop:
        raise ValueError(f"the interval ({start}, {stop}) is empty or reversed; give its smaller end first.")
    if max(abs(start), abs(stop)) > LARGEST_END or stop - start < SMALLEST_WIDTH:
        raise ValueError(
            f"the interval ({start}, {stop}) cannot be mapped to [-1, 1] in float32: its ends must "
            f"be at most {LARGEST_END:g} in magnitude and at least {SMALLEST_WIDTH:g} apart; "
            "rescale the variable."
        )
    if stop - start < SMALLEST_RELATIVE_WIDTH * max(abs(start), abs(stop)):
        raise ValueError(
            f"the interval ({start}, {stop}) is so narrow that too few floats lie in it: its width is to be "
            f"at least {SMALLEST_RELATIVE_WIDTH:g} of its larger end; widen it, or subtract its middle from "
            "the variable."
        )
    return start, stop


def check_intervals(intervals: Any) -> tuple[tuple[float, float], ...]:
    """One interval (a, b), or a sequence of disjoint ones in any order, as sorted pairs of floats.

    Errors: as ``check_interval`` for each; ValueError if two of them touch or overlap, for more than 16 or
    if one is narrower than 1e-9 of what they span.
    """
    if not _is_several(intervals):
        return (check_interval(intervals),)
    if len(intervals) > MOST_INTERVALS:
        raise ValueError(
            f"a fit is on at most {MOST_INTERVALS} intervals, but {len(intervals)} were given; join some."
        )
    pieces = tuple(sorted(check_interval(piece) for piece in intervals))
    for before, after in itertools.pairwise(pieces):
        if before[1] >= after[0]:
            raise ValueError(
                f"the intervals {before} and {after} touch or overlap; give disjoint ones, or their union."
            )
    first, last = check_interval((pieces[0][0], pieces[-1][1]))
    narrowest = min(pieces, key=lambda piece: piece[1] - piece[0])
    if narrowest[1] - narrowest[0] < SMALLEST_RELATIVE_WIDTH * (last - first):
        raise ValueError(
            f"the interval {narrowest} is narrower than {SMALLEST_RELATIVE_WIDTH:g} of all from {first} to "
            f"{last}, too narrow for one polynomial to be fitted on both; widen it or leave it out."
        )
    return pieces


def _is_several(intervals: Any) -> bool:
    """Whether it is a sequence of sequences, be they pairs or not."""

    def is_sequence(value: Any) -> bool:
        return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)

    return is_sequence(intervals) and len(intervals) > 0 and all(map(is_sequence, intervals))


def check_real(value: Any, what: str) -> float:
    """The value as a float. TypeError unless a real number known before tracing, ValueError unless finite."""
    number = real_number(value)
    if number is None:
        raise TypeError(
            f"the {what} is a real number, but {shown(value)} of type {type(value).__name__} was given; pass "
            "a Python float."
        )
    if not math.isfinite(number):
        raise ValueError(f"the {what} is finite, but {number} was given; pass a finite number.")
    return number


def check_parameters(parameters: Any) -> tuple[Any, ...]:
    """The parameters of a function as a tuple. TypeError unless real numbers or arrays of them."""
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
    """The value itself. TypeError unless True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"the {what} is True or False, but {shown(value)} was given; pass one of these.")
    return bool(value)


def check_array(values: Any, what: str) -> jax.Array:
    """The values as a JAX array of numbers. TypeError for everything else."""
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
    """The values as a JAX array of real numbers. TypeError for everything else."""
    array = check_array(values, what)
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise TypeError(
            f"the {what} is an array of real numbers, but one of dtype {array.dtype} was given; convert it "
            "to a floating dtype."
        )
    return array


def check_axis(axis: Any, array: jax.Array) -> int:
    """The axis, counted from 0. TypeError unless an integer, ValueError unless the array has it."""
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
    """The value as a float. TypeError unless a real number, ValueError unless finite and positive."""
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
    """The degree as a Python int. TypeError unless an integer, ValueError if negative or too large."""
    value = _natural(degree, "a degree", 7)
    if largest is not None and value > largest:
        raise ValueError(
            f"a degree is at most {largest} here, but {value} was given; compositions of polynomials of low "
            "degree (approx.composite, approx.extend, approx.reciprocal) reach further at less depth."
        )
    return value


def check_count(count: Any, what: str, largest: int | None = None) -> int:
    """The count as a Python int. TypeError unless an integer, ValueError if negative or too large."""
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
    return isinstance(value, jax.core.Tracer)


def coefficients_on_host(coefficients: Any, purpose: str) -> np.ndarray:
    """The coefficients as NumPy float64. TypeError, which names the purpose, if traced."""
    if is_traced(coefficients):
        raise TypeError(
            f"the coefficients of a polynomial are {purpose} on the host, but they are traced by a "
            "JAX transformation; do it outside of the transformed function."
        )
    return np.asarray(coefficients, dtype=np.float64)


def real_number(value: Any) -> float | None:
    """The value as a Python float, infinite if it is too large for one; None if it is no real number."""
    is_scalar_array = isinstance(value, np.generic | np.ndarray | jax.Array) and value.ndim == 0
    scalar = value.item() if is_scalar_array and not is_traced(value) else value
    if isinstance(scalar, bool) or not isinstance(scalar, numbers.Real):
        return None
    try:
        return float(scalar)
    except OverflowError:
        return math.inf if scalar > 0 else -math.inf


def shown(value: Any) -> str:
    """How messages show an object that was given: at most 80 characters of its first line."""
    text = "a traced value" if is_traced(value) else repr(value)
    line = (text.splitlines() or [""])[0]
    return line if len(line) <= 80 else f"{line[:77]}..."


def _real(value: Any, interval: Any) -> float:
    number = real_number(value)
    if number is None:
        raise TypeError(
            f"the ends of an interval are real numbers known before tracing, but {shown(interval)} was "
            "given; pass two Python floats."
        )
    return number
