"""Plans, replayed in exact integers: the polynomial they evaluate, the depth they take, what they cost."""

import hypothesis
import pytest
from hypothesis import strategies as st

from fhejax.ckks.polynomial.product_plan import depth_of_index, depth_of_support, plan_evaluation

COUNTS = {  # degree: (products, relinearisations) of a dense, an odd and an even polynomial of that degree
    3: ((2, 2), (2, 2), (1, 1)),
    7: ((5, 4), (5, 4), (3, 3)),
    15: ((8, 7), (8, 7), (6, 5)),
    27: ((11, 8), (11, 8), (8, 7)),
    31: ((13, 10), (13, 10), (9, 8)),
    63: ((18, 15), (17, 14), (14, 11)),
}


def dense(degree: int) -> int:
    return (2 << degree) - 1


def every_second(highest: int) -> int:
    return sum(1 << k for k in range(highest, -1, -2))


def multiply_series(x: dict[int, int], y: dict[int, int], chebyshev: bool) -> dict[int, int]:
    """Products of sums of T_k (twice the product, so that it stays whole) or of x^k."""
    result: dict[int, int] = {}
    for i, a in x.items():
        for j, b in y.items():
            for k in (i + j, abs(i - j)) if chebyshev else (i + j,):
                result[k] = result.get(k, 0) + a * b
    return result


def replay(node, coefficients: dict[int, int], depth: int, at_hand: set[int], chebyshev: bool):
    """What the node evaluates, its polynomial having been divided as the evaluator does."""
    usable = {k for k in at_hand if depth_of_index(k) < depth}
    rest, total = dict(coefficients), {}
    for split in node.splits:
        assert split.giant in usable
        taken = {k: c for k, c in rest.items() if split.giant <= k <= split.top}
        rest = {k: c for k, c in rest.items() if k not in taken}
        quotient = {
            k - split.giant: c * (2 if chebyshev and k > split.giant else 1) for k, c in taken.items()
        }
        if chebyshev:
            for k, c in taken.items():
                if k > split.giant:
                    rest[2 * split.giant - k] = rest.get(2 * split.giant - k, 0) - c
        value = replay(split.quotient, quotient, depth - 1, at_hand, chebyshev)
        for k, c in multiply_series({split.giant: 1}, value, chebyshev).items():
            total[k] = total.get(k, 0) + c / (2 if chebyshev else 1)
    left = {k for k, c in rest.items() if k and c}
    assert left <= set(node.terms) <= usable
    for k, c in rest.items():
        total[k] = total.get(k, 0) + c
    return total


def check(support: int, chebyshev: bool) -> None:
    coefficients = {k: 2 * k + 3 for k in range(support.bit_length()) if support >> k & 1}
    depth = depth_of_support([support])
    plan = plan_evaluation((support,), depth, chebyshev)
    at_hand = {1}
    for product in plan.basis:
        operands = {product.first, product.second}
        assert product.first + product.second == product.index
        assert max(map(depth_of_index, operands)) < depth_of_index(product.index)
        if chebyshev and product.first != product.second:
            operands.add(product.first - product.second)
        assert operands <= at_hand
        at_hand.add(product.index)
    found = replay(plan.roots[0], coefficients, depth, at_hand, chebyshev)
    assert {k: c for k, c in found.items() if c} == coefficients


@pytest.mark.parametrize("chebyshev", [True, False])
def test_every_degree_at_the_least_depth(chebyshev):
    for degree in (*range(40), 47, 48, 63, 64, 96, 127):
        assert depth_of_support([dense(degree)]) == degree.bit_length()
        check(dense(degree), chebyshev)
        check(every_second(degree), chebyshev)


@hypothesis.given(st.integers(1, 2**72 - 1), st.booleans())
@hypothesis.settings(max_examples=30, deadline=None, derandomize=True)
def test_any_set_of_coefficients(support, chebyshev):
    check(support, chebyshev)
    check(support & -support | 1 << (support.bit_length() - 1), chebyshev)


@pytest.mark.parametrize("degree", COUNTS)
def test_products(degree):
    supports = dense(degree), every_second(degree), every_second(degree - 1)
    for support, expected in zip(supports, COUNTS[degree], strict=True):
        plan = plan_evaluation((support,), depth_of_support([support]), True)
        assert (plan.products, plan.relinearisations) == expected
        assert plan.largest == 1 << (depth_of_support([support]) - 1)


def test_a_derivative_shares_the_basis():
    for degree in (7, 15, 31, 63):
        value, slope = dense(degree), dense(degree - 1)
        depth = depth_of_support([value])
        both = plan_evaluation((value, slope), depth, True)
        apart = [plan_evaluation((s,), depth, True).relinearisations for s in (value, slope)]
        assert len(both.roots) == 2
        assert both.relinearisations <= sum(apart) - (depth - 1)


def test_constants_take_nothing():
    for support in (0, 1):
        plan = plan_evaluation((support,), depth_of_support([support]), True)
        assert (plan.depth, plan.products, plan.roots[0].terms) == (0, 0, ())
