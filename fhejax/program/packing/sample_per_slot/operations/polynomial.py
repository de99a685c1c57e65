"""Lowering of the polynomial primitive: degree two by completing the square, else Chebyshev products."""

import dataclasses
from collections.abc import Callable

import numpy as np

from fhejax.program.circuit.nodes import Combine
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.batch_axis import without_batch
from fhejax.program.packing.sample_per_slot.operations.product import multiply_views, square_view
from fhejax.program.packing.sample_per_slot.operations.sum import add_views
from fhejax.program.tensor.operations.polynomial import Polynomial

_LARGEST_SHIFT = 64.0


def polynomial(builder: Builder, operation: Polynomial, sources: list[View]) -> View:
    """The polynomial sum of c_k T_k(t), with t the interval mapped to [-1, 1], elementwise.

    The map costs nothing (it is affine). Degree two is one square: c (t + b)^2 + d, whose c goes into the
    next layer's weights. Higher degrees take ceil(log2(degree + 1)) levels or one more.

    Raises:
        ValueError: coefficients that differ between samples.
    """
    (x,) = sources
    coefficients, (low, high) = operation.coefficients.array, operation.interval
    table = _channel_coefficients(np.asarray(coefficients, np.float64), x)
    scaled = x.affine(2.0 / (high - low), -(high + low) / (high - low))
    degree = max((k for k in range(len(table)) if np.any(table[k])), default=0)
    if degree == 0:
        return x.affine(0.0, table[0])
    if degree == 1:
        return scaled.affine(table[1], table[0])
    if degree == 2 and _can_complete(table):
        return _completed_square(builder, scaled, table)
    return _chebyshev_sum(builder, scaled, table[: degree + 1])


def _channel_coefficients(coefficients: np.ndarray, x: View) -> list[np.ndarray]:
    """The coefficients, each as an array of x's shape without the batch."""
    channels = coefficients.shape[:-1]
    full = coefficients.reshape(*[1] * (len(x.shape) - len(channels)), *channels, -1)
    if x.batch_axis is not None:
        full = without_batch(full, x)
    return [np.broadcast_to(full[..., k], x.entries.shape) for k in range(coefficients.shape[-1])]


def _can_complete(table: list[np.ndarray]) -> bool:
    """Whether the square can be completed.

    T_2 = 2 t^2 - 1: the square is of t + c_1 / (4 c_2), which must not dwarf t.
    """
    return bool(np.all(np.abs(table[1]) <= 4 * _LARGEST_SHIFT * np.abs(table[2])) and table[2].all())


def _completed_square(builder: Builder, t: View, table: list[np.ndarray]) -> View:
    shift = table[1] / (4 * table[2])
    squared = square_view(builder, t.affine(1.0, shift))
    return squared.affine(2 * table[2], table[0] - table[2] - 2 * table[2] * shift**2)


def _chebyshev_sum(builder: Builder, t: View, table: list[np.ndarray]) -> View:
    """The sum of c_k T_k, with T_2k = 2 T_k^2 - 1 and T_(j+k) = 2 T_j T_k - T_(j-k)."""

    def double(x: View) -> View:
        return square_view(builder, x).affine(2.0, -1.0)

    def join(x: View, y: View, difference: View) -> View:
        return add_views(
            builder, multiply_views(builder, x, y).affine(2.0, 0.0), difference.affine(-1.0, 0.0)
        )

    basis = _chebyshev_basis(t, [k for k in range(1, len(table)) if table[k].any()], double, join)
    terms = [(basis[k], table[k]) for k in range(1, len(table)) if table[k].any()]
    return weighted_sum_of_views(builder, terms).affine(1.0, table[0])


def _chebyshev_basis(t: View, wanted: list[int], double: Callable, join: Callable) -> dict[int, View]:
    basis = {1: t}

    def need(k: int) -> View:
        if k not in basis:
            half = (k + 1) // 2
            if k % 2 == 0:
                basis[k] = double(need(half))
            else:
                basis[k] = join(need(half), need(half - 1), basis[1])
        return basis[k]

    for k in wanted:
        need(k)
    return basis


def weighted_sum_of_views(builder: Builder, terms: list[tuple[View, np.ndarray]]) -> View:
    """The sum of several views times plain numbers in one node, so that their weights are aligned once."""
    if len(terms) == 1:
        return terms[0][0].affine(terms[0][1], 0.0)
    rows = [builder.row_major(term) for term, _ in terms]
    factors = [factor for _, factor in terms]
    weights = tuple((r.multiplier * f).reshape(-1) for r, f in zip(rows, factors, strict=True))
    first = rows[0]
    node = Combine(tuple(r.node for r in rows), weights, first.entries.size, builder.label)
    total = builder.fresh(node, first, first.entries.shape)
    return dataclasses.replace(total, offset=sum(r.offset * f for r, f in zip(rows, factors, strict=True)))
