"""Validation of what fits and polynomials are given: degrees, intervals, host values."""

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


def check_degree(degree: Any) -> int:
    """The degree as a Python int. TypeError unless an integer, ValueError if negative."""
    try:
        value = operator.index(degree)
    except TypeError:
        value = None
    if value is None or isinstance(degree, bool):
        raise TypeError(
            f"A degree is an integer, but {degree!r} of type {type(degree).__name__} was given; "
            "pass for example 7."
        )
    if value < 0:
        raise ValueError(f"A degree is at least 0, but {value} was given.")
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
