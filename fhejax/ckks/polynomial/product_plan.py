"""Which products evaluate a polynomial at the least depth: planned once, in pure Python.

Paterson and Stockmeyer, "On the number of nonscalar multiplications necessary to evaluate polynomials"
(1973): p = q T_m + r, with T_m a basis polynomial (or the power x^m), and again for q and r. Here a node of
depth D is one sum, rescaled at the end, of products q T_m, with q a node of depth D - 1, and of plain
multiples of the basis: every product of a node shares its relinearisation. What is of degree at most
2^(D-1) and in the basis needs no product, so that remainders, which have depth to spare, are mostly
linear, and the quotient of the highest terms alone splits down to degree one. Which basis costs least is
found by trying a few dozen; a random search over others found none with fewer products in degrees up to
127.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence

from fhejax.ring.platform import TWO_CORES

_COSTS = TWO_CORES.costs  # on every machine, so that all find the same products
_LONGEST_RUN = 24  # basis polynomials T_1 .. T_k beside the giant ones


@dataclasses.dataclass(frozen=True)
class Split:
    """p = q T_giant + r, where q takes the terms of p from `giant` to `top`."""

    giant: int
    top: int
    quotient: "ProductNode"


@dataclasses.dataclass(frozen=True)
class ProductNode:
    """A polynomial as one rescaled sum: `splits` one after the other, then multiples of T_k, k in `terms`."""

    splits: tuple[Split, ...]
    terms: tuple[int, ...]

    @property
    def nodes(self) -> "Iterator[ProductNode]":
        """This node and all below it."""
        yield self
        for split in self.splits:
            yield from split.quotient.nodes


@dataclasses.dataclass(frozen=True)
class BasisProduct:
    """T_index = 2 T_first T_second - T_(first - second), or x^index = x^first x^second."""

    index: int
    first: int
    second: int


@dataclasses.dataclass(frozen=True)
class ProductPlan:
    """How to evaluate several polynomials from one basis, which is made in the order given."""

    depth: int
    basis: tuple[BasisProduct, ...]
    roots: tuple[ProductNode, ...]

    @property
    def products(self) -> int:
        """Ciphertext by ciphertext products."""
        return len(self.basis) + sum(len(node.splits) for root in self.roots for node in root.nodes)

    @property
    def relinearisations(self) -> int:
        """Products that are added first share one."""
        return len(self.basis) + sum(bool(node.splits) for root in self.roots for node in root.nodes)

    @property
    def largest(self) -> int:
        """The highest basis polynomial in use."""
        return max((product.index for product in self.basis), default=1)


def depth_of_index(index: int) -> int:
    """Levels below the input at which T_index or x^index is at hand: ceil(log2 index)."""
    return (index - 1).bit_length()


@functools.cache
def plan_evaluation(supports: tuple[int, ...], depth: int, chebyshev: bool) -> ProductPlan:
    """The cheapest plan of a few dozen bases.

    Args:
        supports: of each polynomial, bit k set where the coefficient of T_k (or x^k) is not zero.
        depth: levels from the input to all results, at least ceil(log2(degree + 1)) of each.
        chebyshev: the basis is T_k, else x^k.
    """
    plans = (_plan_with(supports, depth, chebyshev, basis) for basis in _bases(depth, max(supports)))
    return min((plan for plan in plans if plan is not None), key=_cost)


def _bases(depth: int, support: int) -> Iterator[int]:
    """Masks of bases to try: powers of two, a run T_1 .. T_k (all, odd or even), 3 times powers of two."""
    half = 1 << max(depth - 1, 0)
    powers = sum(1 << (1 << i) for i in range(max(depth, 1)))
    threes = sum(1 << (3 << i) for i in range(depth) if 3 << i <= half)
    longest = min(half, _LONGEST_RUN, max(support.bit_length(), 1))
    for last in range(1, longest + 1):
        for step in (1, 2):
            run = sum(1 << k for k in range(last, 0, -step))
            yield powers | run
            yield powers | run | threes


def _plan_with(supports: tuple[int, ...], depth: int, chebyshev: bool, basis: int) -> ProductPlan | None:
    nodes = [_cheapest(support, depth, chebyshev, basis, {}) for support in supports]
    roots = tuple(node for node in nodes if node is not None)
    if len(roots) < len(nodes):
        return None
    used = {k for root in roots for node in root.nodes for k in (*node.terms, *_giants(node))}
    return ProductPlan(depth, _products_for(used, chebyshev), roots)


def _giants(node: ProductNode) -> list[int]:
    return [split.giant for split in node.splits]


def _cost(plan: ProductPlan) -> int:
    own = len(plan.basis) * (_COSTS.relinearisation + _COSTS.tensor)
    return own + sum(_node_cost(root) for root in plan.roots)


def _node_cost(node: ProductNode) -> int:
    below = sum(_COSTS.tensor + _node_cost(split.quotient) for split in node.splits)
    last = _COSTS.relinearisation if node.splits else _COSTS.rescale
    return below + _COSTS.term * len(node.terms) + last


def _cheapest(
    support: int, depth: int, chebyshev: bool, basis: int, known: dict[tuple[int, int], ProductNode | None]
) -> ProductNode | None:
    """The node for these terms that costs least, the basis being free; None where the depth is too small."""
    if (support, depth) not in known:
        half = 1 << depth >> 1
        at_hand = basis & ((2 << half) - 1) if depth else 0
        rest = support & ~at_hand & ~1
        if not rest:
            known[support, depth] = ProductNode((), tuple(_bits(support & ~1)))
        else:
            top = rest.bit_length() - 1
            lowest = (top + 1) // 2  # so that no T_(m-j) falls below T_0; smaller ones gained nothing
            giants = [m for m in _bits(at_hand) if max(lowest, top - half + 1) <= m < top]
            found = (_split(support, depth, chebyshev, basis, known, m, top) for m in giants)
            known[support, depth] = min((n for n in found if n is not None), key=_node_cost, default=None)
    return known[support, depth]


def _split(
    support: int,
    depth: int,
    chebyshev: bool,
    basis: int,
    known: dict[tuple[int, int], ProductNode | None],
    giant: int,
    top: int,
) -> ProductNode | None:
    quotient, remainder = _divide(support, giant, top, chebyshev)
    upper = _cheapest(quotient, depth - 1, chebyshev, basis, known)
    lower = _cheapest(remainder, depth, chebyshev, basis, known)
    if upper is None or lower is None:
        return None
    return ProductNode((Split(giant, top, upper), *lower.splits), lower.terms)


def _divide(support: int, giant: int, top: int, chebyshev: bool) -> tuple[int, int]:
    """Supports of q and r: T_(m+j) = 2 T_m T_j - T_(m-j) leaves a term m - j of r for each j > 0 of q."""
    quotient = support >> giant & ((2 << (top - giant)) - 1)
    remainder = support & ~(quotient << giant)
    if chebyshev:
        remainder |= sum(1 << (giant - j) for j in _bits(quotient) if j) & ~remainder
    return quotient, remainder


def _bits(mask: int) -> list[int]:
    return [k for k in range(mask.bit_length()) if mask >> k & 1]


def _products_for(used: set[int], chebyshev: bool) -> tuple[BasisProduct, ...]:
    """The products that make these basis polynomials, with as few others in between as can be."""
    needed, products = set(used) | {1}, []
    for index in range(max(needed), 1, -1):
        if index in needed:
            product = min(_factorings(index), key=lambda p: _preference(p, needed, chebyshev))
            needed |= set(_operands(product, chebyshev))
            products.append(product)
    return tuple(reversed(products))


def _factorings(index: int) -> list[BasisProduct]:
    """All that lose no level: both factors of index at most the power of two below."""
    highest = 1 << (depth_of_index(index) - 1)
    return [BasisProduct(index, i, index - i) for i in range((index + 1) // 2, highest + 1)]


def _operands(product: BasisProduct, chebyshev: bool) -> list[int]:
    difference = [product.first - product.second] if chebyshev else []
    return [k for k in (product.first, product.second, *difference) if k]


def _preference(product: BasisProduct, needed: set[int], chebyshev: bool) -> tuple[int, bool, int]:
    """Fewest polynomials that are not there yet; then squares, and low intermediate ones."""
    missing = set(_operands(product, chebyshev)) - needed
    return len(missing), product.first != product.second, product.first - product.second


def depth_of_support(supports: Sequence[int]) -> int:
    """ceil(log2(degree + 1)) of the highest degree: the least depth there is."""
    return max((max(support.bit_length() - 1, 0).bit_length() for support in supports), default=0)
