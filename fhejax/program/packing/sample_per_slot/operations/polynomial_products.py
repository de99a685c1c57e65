"""The products of a polynomial, in the order of `ckks`'s plan: which these are is decided there alone."""

import dataclasses

import numpy as np

from fhejax.ckks.polynomial.product_plan import (
    BasisProduct,
    ProductNode,
    depth_of_support,
    plan_evaluation,
)
from fhejax.ckks.polynomial.series import Series
from fhejax.program.circuit.nodes import Combine
from fhejax.program.circuit.views import Builder, View
from fhejax.program.packing.sample_per_slot.operations.product import multiply_views
from fhejax.program.packing.sample_per_slot.operations.sum import add_views
from fhejax.program.packing.sample_per_slot.units import unit_of_weights

_LARGEST_RATIO = 2.0**6

Term = tuple[View, np.ndarray]


def planned_products(builder: Builder, t: View, series: Series) -> View:
    """The sum of c_k T_k(t), by the plan of least depth.

    Args:
        builder: takes the nodes.
        t: the view of values in [-1, 1].
        series: in the Chebyshev basis, its channels of t's shape without the batch.
    """
    support = series.support
    plan = plan_evaluation((support,), depth_of_support([support]), chebyshev=True)
    basis = {1: t}
    for product in plan.basis:
        basis[product.index] = _basis_product(builder, basis, product)
    return _sum_of_node(builder, basis, plan.roots[0], series)


def _basis_product(builder: Builder, basis: dict[int, View], product: BasisProduct) -> View:
    """The view of T_(i+j) = 2 T_i T_j - T_(i-j)."""
    first, second = basis[product.first], basis[product.second]
    doubled = multiply_views(builder, first, second).affine(2.0, 0.0)
    if product.first == product.second:
        return doubled.affine(1.0, -1.0)
    return add_views(builder, doubled, basis[product.first - product.second].affine(-1.0, 0.0))


def _sum_of_node(builder: Builder, basis: dict[int, View], node: ProductNode, series: Series) -> View:
    """The view of sum q_i T_(m_i), over the node's splits, and the rest of the series in the basis."""
    terms: list[Term] = []
    coefficients: dict[int, np.ndarray] = {}
    for split in node.splits:
        quotient, series = series.divide(split)
        quotient, constant = _without_large_constant(quotient)
        coefficients[split.giant] = coefficients.get(split.giant, 0.0) + constant
        if not quotient.coefficients.any():  # terms that a division cancels, such as those of equal ones
            continue
        factor = _sum_of_node(builder, basis, split.quotient, quotient)
        product = multiply_views(builder, factor, basis[split.giant])
        terms.append((product, np.ones(product.entries.shape)))
    for index in node.terms:
        coefficients[index] = coefficients.get(index, 0.0) + series.coefficients[index]
    terms += [(basis[index], row) for index, row in coefficients.items() if np.any(row)]
    if not terms:
        return basis[1].affine(0.0, series.coefficients[0])
    return weighted_sum_of_views(builder, terms).affine(1.0, series.coefficients[0])


def _without_large_constant(quotient: Series) -> tuple[Series, np.ndarray]:
    """The quotient, and what is to be multiplied by its giant beside it.

    A constant that dwarfs the other coefficients would dwarf the ciphertext that it is added to.
    """
    constant, others = quotient.coefficients[0], quotient.coefficients[1:]
    if np.abs(constant).max() <= _LARGEST_RATIO * np.abs(others).max():
        return quotient, np.zeros(constant.shape)
    rest = np.concatenate([np.zeros_like(constant)[None], others])
    return dataclasses.replace(quotient, coefficients=rest), constant


def weighted_sum_of_views(builder: Builder, terms: list[Term]) -> View:
    """The sum of several views times plain numbers in one node, so that their weights are aligned once.

    One view alone takes its numbers as a view, unless that would lose a channel whose number is small.
    """
    if len(terms) == 1 and _is_even(terms[0][1]):
        return terms[0][0].affine(terms[0][1], 0.0)
    rows = [builder.row_major(term) for term, _ in terms]
    factors = [factor for _, factor in terms]
    weights = tuple((r.multiplier * f).reshape(-1) for r, f in zip(rows, factors, strict=True))
    first, unit = rows[0], builder.decided(lambda: unit_of_weights(np.stack(weights)))
    weights = tuple(weight / unit for weight in weights)
    node = Combine(tuple(r.node for r in rows), weights, first.entries.size, builder.label)
    total = builder.fresh(node, first, first.entries.shape).affine(unit, 0.0)
    return total.affine(1.0, sum(r.offset * f for r, f in zip(rows, factors, strict=True)))


def _is_even(factor: np.ndarray) -> bool:
    """Whether no channel's number is much smaller than another's."""
    size = np.abs(factor)
    return bool(size.max(initial=0.0) <= _LARGEST_RATIO * size.min(initial=np.inf))
