"""Lowering of the polynomial primitive: degree two by completing the square, else by `ckks`'s own plan.

A polynomial stays one operation in the tensor graph and becomes squares, products and combinations here, and
not one node with `fhejax.ckks.evaluate_polynomial` in it: that function fixes the level and the scale of
every product, while a program's scales are lazy, and the search for parameters finds their levels itself.
"""

import numpy as np

from fhejax.ckks.polynomial.series import Series
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import without_batch
from fhejax.program.packing.sample_per_slot.operations.polynomial_products import planned_products
from fhejax.program.packing.sample_per_slot.operations.product import square_view
from fhejax.program.tensor.operations.polynomial import Polynomial

_LARGEST_SHIFT = 64.0
_ROUNDING = 2.0**-52  # of float64: what a fit leaves of coefficients that are zero


def polynomial(builder: Builder, operation: Polynomial, sources: list[View]) -> View:
    """The polynomial sum of c_k T_k(t), with t the interval mapped to [-1, 1], elementwise.

    The map costs nothing (it is affine). Degree two is one square: c (t + b)^2 + d, whose c goes into the
    next layer's weights. Higher degrees take the products of `ckks`'s plan at its depth of
    ceil(log2(degree + 1)): 13 at degree 31, fewer where coefficients are zero for all channels.

    Raises:
        ValueError: coefficients that differ between samples.
    """
    (x,) = sources
    coefficients, (low, high) = operation.coefficients.array, operation.interval
    table = _without_rounding(_channel_coefficients(np.asarray(coefficients, np.float64), x))
    scaled = x.affine(2.0 / (high - low), -(high + low) / (high - low))
    degree = max((k for k in range(len(table)) if table[k].any()), default=0)
    if degree == 0:
        return x.affine(0.0, table[0])
    varies = operation.coefficients.varies
    if degree == 1:
        return scaled.affine(table[1], table[0], varies)
    if degree == 2 and not varies and _can_complete(table):
        return _completed_square(builder, scaled, table)
    return planned_products(builder, scaled, Series(table[: degree + 1], True))


def _channel_coefficients(coefficients: np.ndarray, x: View) -> np.ndarray:
    """The coefficients, float64 [degree + 1, *x's shape without the batch]."""
    channels = coefficients.shape[:-1]
    full = coefficients.reshape(*[1] * (len(x.shape) - len(channels)), *channels, -1)
    if x.batch_axis is not None:
        full = without_batch(full, x)
    return np.stack([np.broadcast_to(row, x.entries.shape) for row in np.moveaxis(full, -1, 0)])


def _without_rounding(table: np.ndarray) -> np.ndarray:
    """The table with zeros for coefficients below the rounding of their channel's largest one."""
    size = np.abs(table)
    return np.where(size <= _ROUNDING * size.max(0), 0.0, table)


def _can_complete(table: np.ndarray) -> bool:
    """Whether the square can be completed.

    T_2 = 2 t^2 - 1: the square is of t + c_1 / (4 c_2), which must not dwarf t.
    """
    return bool(np.all(np.abs(table[1]) <= 4 * _LARGEST_SHIFT * np.abs(table[2])) and table[2].all())


def _completed_square(builder: Builder, t: View, table: np.ndarray) -> View:
    shift = table[1] / (4 * table[2])
    squared = square_view(builder, t.affine(1.0, shift))
    return squared.affine(2 * table[2], table[0] - table[2] - 2 * table[2] * shift**2)
