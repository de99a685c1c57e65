"""Minimax composites for the sign function, each stage of which maps both sides closer to -1 and 1."""

from collections.abc import Sequence

import numpy as np

from fhejax.approx.polynomials.polynomial import Polynomial
from fhejax.approx.remez.exchange import remez
from fhejax.approx.remez.target import EPSILON, Target


def sign_stages(degrees: Sequence[int], gap: float, bound: float) -> tuple[tuple[Polynomial, ...], float]:
    """The polynomials whose composition is near sign(x) for gap <= |x| <= bound, and its largest error there.

    Each stage is the minimax approximation of the sign on the image of those before it (Lee, Lee, No
    and Kim, IEEE TDSC 19, 2021, algorithm 1), which is the best choice for given degrees.

    Args:
        degrees: odd integers, that of the stage applied first first.
        gap: the smallest magnitude of x.
        bound: the largest magnitude of x.
    """
    stages, low, high, largest = [], gap, bound, 1.0
    for degree in degrees:
        solution = remez(_target(degree, low / high))
        stages.append(Polynomial(solution.coefficients, (-high, high)))
        largest = solution.error
        low, high = 1 - largest, 1 + largest
    return tuple(stages), largest


def _target(degree: int, gap: float) -> Target:
    orders = np.arange(1, degree + 1, 2)
    return Target(np.ones_like, np.ones_like, np.zeros(degree + 1), orders, ((gap, 1.0),), float(EPSILON))
