"""The counts of polynomials of a ciphertext, product by product as they are planned."""

from fhejax.approx import Polynomial
from fhejax.ckks.counts.key_switching import division, key_reads, relinearisation, tensor
from fhejax.ckks.counts.limb_table import LimbTable
from fhejax.ckks.counts.operation_counts import NOTHING, OperationCounts
from fhejax.ckks.polynomial.product_plan import (
    ProductNode,
    depth_of_index,
    depth_of_support,
    plan_evaluation,
)
from fhejax.ckks.polynomial.series import read_series


def undivided_polynomial(
    table: LimbTable, polynomial: Polynomial, target: int, count: int = 1
) -> OperationCounts:
    """The counts of a polynomial up to its last division, which leads to the level `target`.

    Drops of levels that are no mere loss of primes, as in rational rescaling, are left out.

    Args:
        table: the limbs of each level.
        polynomial: whose coefficients of zero cost nothing.
        target: the level of the result, once divided.
        count: of ciphertexts that are evaluated together, with each key read once.
    """
    series = read_series(polynomial)
    supports = (series.support,)
    plan = plan_evaluation(supports, depth_of_support(supports), series.chebyshev)
    top, counted = target + plan.depth, NOTHING
    for product in plan.basis:
        above = top - depth_of_index(product.index) + 1
        squared, terms = product.first == product.second, 0 if product.first == product.second else 1
        counted += count * tensor(table.limbs(above), squared)
        counted += count * weighted_sum(table.limbs(above), 1, terms * series.chebyshev)
        counted += divided_product(table, above, count)
    return counted + _node(table, plan.roots[0], target + 1, count)


def divided_product(table: LimbTable, above: int, count: int = 1) -> OperationCounts:
    """The counts of relinearising products and dividing them, one level down, with the key read once.

    Args:
        table: the limbs of each level.
        above: the level of the products.
        count: of products.
    """
    at, below = table.switched(above), above - 1
    switched = relinearisation(at, table.dropped(above, below), table.limbs(below))
    return count * switched + key_reads(at)


def weighted_sum(limbs: int, products: int, others: int = 0) -> OperationCounts:
    """The counts of a sum of products, of three components, and other ciphertexts, each times an integer."""
    return OperationCounts(products=limbs * (3 * products + 2 * others))


def _node(table: LimbTable, node: ProductNode, above: int, count: int) -> OperationCounts:
    """The counts of a node before its division, at the level above that of its result."""
    counted = count * weighted_sum(table.limbs(above), len(node.splits), len(node.terms))
    for split in node.splits:
        counted += count * tensor(table.limbs(above))
        counted += _divided_node(table, split.quotient, above, count)
    return counted


def _divided_node(table: LimbTable, node: ProductNode, level: int, count: int) -> OperationCounts:
    """The counts of a node at its level: relinearised where there are products in it, else rescaled."""
    if not node.splits and not node.terms:
        return NOTHING
    above = level + 1
    counted = _node(table, node, above, count)
    if node.splits:
        return counted + divided_product(table, above, count)
    return counted + count * division(table.dropped(above, level), table.limbs(level))
