"""How large the multiple of q_0 is that raising a modulus leaves, and how likely too large a one is.

The phase c_0 + c_1 s of a ciphertext modulo q, taken without reduction, is a sum of 1 + h terms that are
uniform in (-q/2, q/2), h the weight of the ternary secret: over q, a centred Irwin-Hall variable. Its tail is
a rational number, computed exactly here.
"""

import functools
import math
from fractions import Fraction

import numpy as np


def phase_tail(hamming_weight: int, bound: Fraction | int) -> Fraction:
    """P(|phase / q| > bound) for one coefficient, exactly (Irwin 1927; Hall 1927)."""
    terms = hamming_weight + 1
    start = Fraction(terms, 2) - Fraction(bound)
    if start <= 0:
        return Fraction(0)
    return min(Fraction(1), 2 * _irwin_hall(terms, start))


@functools.cache
def _irwin_hall(terms: int, value: Fraction) -> Fraction:
    """P(a sum of `terms` uniform numbers of (0, 1) is at most `value`)."""
    if value <= 0:
        return Fraction(0)
    parts = (
        (-1) ** k * math.comb(terms, k) * (value - k) ** terms
        for k in range(min(terms, math.floor(value)) + 1)
    )
    return sum(parts, Fraction(0)) / math.factorial(terms)


def log2_fraction(value: Fraction) -> float:
    """log2 of a rational number however small; minus infinity for zero."""
    if not value:
        return -math.inf
    return math.log2(value.numerator) - math.log2(value.denominator)


def log2_failure_probability(hamming_weight: int, bound: Fraction | int, coefficients: int) -> float:
    """log2 of an upper bound of the probability that any of `coefficients` phases is beyond `bound`.

    The union bound; minus infinity where no phase can be.
    """
    return min(0.0, log2_fraction(phase_tail(hamming_weight, bound)) + math.log2(coefficients))


def smallest_bound(hamming_weight: int, coefficients: int, failure_bits: float) -> int:
    """The smallest integer bound that fails with probability at most 2**-failure_bits."""
    bound = 1
    while log2_failure_probability(hamming_weight, bound, coefficients) > -failure_bits:
        bound += 1
    return bound


@functools.cache
def overflow_probabilities(hamming_weight: int) -> dict[int, float]:
    """The probability of each integer nearest to phase / q."""
    terms = hamming_weight + 1
    half, largest = Fraction(terms, 2), math.ceil(terms / 2)
    edges = {
        i: _irwin_hall(terms, min(half + i + Fraction(1, 2), Fraction(terms)))
        for i in range(-largest - 1, largest + 1)
    }
    return {i: float(edges[i] - edges[i - 1]) for i in range(-largest, largest + 1)}


def sample_overflow(hamming_weight: int, count: int, generator: np.random.Generator) -> np.ndarray:
    """Integers nearest to phase / q, as float64 [count]: for predictions, not for cryptography."""
    total = generator.uniform(-0.5, 0.5, count)
    for _ in range(hamming_weight):
        total += generator.uniform(-0.5, 0.5, count)
    return np.round(total)
