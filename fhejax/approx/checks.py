"""Validation of what fits and polynomials are given: degrees, intervals, host values."""

import itertools
import math
import numbers
import operator
from typing import Any

import jax
import numpy as np

# Inside these bounds the affine map to [-1, 1] neither overflows nor underflows in float32.
LARGEST_END = 1e30
SMALLEST_WIDTH = 1e-30


def check_interval(interval: Any) -> tuple[float, float]:
    """The interval as two Python floats a < b.

    Errors: TypeError unless it is a pair of real numbers; ValueError unless both are finite, at
    most 1e30 in magnitude, in increasing order and at least 1e-30 apart.
    """
    try:
        start, stop = interval
    except (TypeError, ValueError):
        raise TypeError(
            f"An interval is a pair (a, b) of real numbers, but {interval!r} was given; "
            "pass for example (-8.0, 8.0)."
        ) from None
    start, stop = _real(start, interval), _real(stop, interval)
    if not (math.isfinite(start) and math.isfinite(stop)):
        raise ValueError(
            f"The interval ({start}, {stop}) has an end that is not finite; "
            "a polynomial approximates on a bounded interval, so give two finite ends."
        )
    if start >= stop:
        raise ValueError(f"The interval ({start}, {stop}) is empty or reversed; give its smaller end first.")
    if max(abs(start), abs(stop)) > LARGEST_END or stop - start < SMALLEST_WIDTH:
        raise ValueError(
            f"The interval ({start}, {stop}) cannot be mapped to [-1, 1] in float32: its ends must "
            f"be at most {LARGEST_END:g} in magnitude and at least {SMALLEST_WIDTH:g} apart; "
            "rescale the variable."
        )
    return start, stop


def check_intervals(intervals: Any) -> tuple[tuple[float, float], ...]:
    """One interval (a, b), or a sequence of disjoint ones in any order, as sorted pairs of floats.

    Errors: as ``check_interval`` for each; ValueError if two of them touch or overlap.
    """
    if not _is_several(intervals):
        return (check_interval(intervals),)
    pieces = tuple(sorted(check_interval(piece) for piece in intervals))
    for before, after in itertools.pairwise(pieces):
        if before[1] >= after[0]:
            raise ValueError(
                f"The intervals {before} and {after} touch or overlap; give disjoint ones, or their union."
            )
    check_interval((pieces[0][0], pieces[-1][1]))
    return pieces


def _is_several(intervals: Any) -> bool:
    try:
        return len(intervals) > 0 and all(len(piece) == 2 for piece in intervals)
    except TypeError:
        return False


def check_positive(value: Any, what: str) -> float:
    """The value as a float. TypeError unless a real number, ValueError unless finite and positive."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"The {what} is a real number, but {value!r} of type {type(value).__name__} was given."
        )
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"The {what} is finite and positive, but {value} was given.")
    return float(value)


def check_degree(degree: Any) -> int:
    """The degree as a Python int. TypeError unless an integer, ValueError if negative."""
    return _natural(degree, "A degree", 7)


def check_count(count: Any, what: str) -> int:
    """The count as a Python int. TypeError unless an integer, ValueError if negative."""
    return _natural(count, f"The {what}", 2)


def _natural(number: Any, subject: str, example: int) -> int:
    try:
        value = operator.index(number)
    except TypeError:
        value = None
    if value is None or isinstance(number, bool):
        raise TypeError(
            f"{subject} is an integer, but {number!r} of type {type(number).__name__} was given; "
            f"pass for example {example}."
        )
    if value < 0:
        raise ValueError(f"{subject} is at least 0, but {value} was given.")
    return value


def is_traced(value: Any) -> bool:
    """Whether the value is a stand-in inside jit, grad, vmap or another transformation."""
    return isinstance(value, jax.core.Tracer)


def coefficients_on_host(coefficients: Any, purpose: str) -> np.ndarray:
    """The coefficients as NumPy float64. TypeError, which names the purpose, if traced."""
    if is_traced(coefficients):
        raise TypeError(
            f"The coefficients of a polynomial are {purpose} on the host, but they are traced by a "
            "JAX transformation; do it outside of the transformed function."
        )
    return np.asarray(coefficients, dtype=np.float64)


def _real(value: Any, interval: Any) -> float:
    is_scalar_array = isinstance(value, np.generic | np.ndarray | jax.Array) and value.ndim == 0
    scalar = value.item() if is_scalar_array and not is_traced(value) else value
    if isinstance(scalar, bool) or not isinstance(scalar, numbers.Real):
        raise TypeError(
            f"The ends of an interval are real numbers known before tracing, but {interval!r} was "
            "given; pass two Python floats."
        )
    return float(scalar)
