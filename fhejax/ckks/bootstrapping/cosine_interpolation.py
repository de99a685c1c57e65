"""A polynomial for cos(2 pi (x - 1/4) / 2^r) near the integers of (-K, K), where alone it is evaluated.

Interpolation at nodes close to the integers takes a much lower degree than approximation on the whole
interval (Han and Ki, "Better bootstrapping for approximate homomorphic encryption", 2020, section 5). Here
the nodes beyond the first at each integer go where probability times error bound is largest. Divided
differences lose many digits at such nodes, so that they are computed in fixed point with many more.
"""

import functools
import math

import numpy as np

from fhejax.approx import Polynomial
from fhejax.ckks.bootstrapping.overflow_distribution import overflow_probabilities

_BITS = 1024  # after the point of values
_NODE_BITS = 64  # after the point of nodes
_LARGEST_VALUE_BITS = 40


@functools.cache
def interpolate_cosine(
    bound: int, degree: int, double_angles: int, hamming_weight: int, ratio_bits: float
) -> Polynomial:
    """The interpolant on (-bound, bound), in the Chebyshev basis.

    Args:
        bound: K, of the phase over q.
        degree: at least 2 (K - 1), one node for each integer.
        double_angles: r.
        hamming_weight: of the secret, for the probabilities of the integers.
        ratio_bits: log2 of q over the scale; the message is at most 1 in magnitude.

    Raises:
        ValueError: a degree that is too small, or a polynomial that double precision does not hold.
    """
    if degree < 2 * (bound - 1):
        raise ValueError(
            f"modular reduction of phases up to {bound} by a polynomial of degree {degree} was asked for; "
            f"it takes a node at each of {2 * bound - 1} integers, so a degree of at least {2 * (bound - 1)}."
        )
    nodes = _nodes(bound, degree, hamming_weight, 2.0**-ratio_bits)
    differences = _divided_differences(nodes, [_cosine(x, double_angles) for x in nodes])
    points = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    places = (bound * int(t * 2**_NODE_BITS) for t in points)
    fixed = [_newton(nodes, differences, x) for x in places]
    _check_size(max(map(abs, fixed)), bound, degree, double_angles)
    values = np.array([value / 2**_BITS for value in fixed])
    coefficients = np.polynomial.chebyshev.chebvander(points, degree).T @ values * 2 / (degree + 1)
    coefficients[0] /= 2
    return Polynomial.from_chebyshev(coefficients, (-float(bound), float(bound)))


def _check_size(largest: int, bound: int, degree: int, double_angles: int) -> None:
    if largest.bit_length() > _BITS + _LARGEST_VALUE_BITS:
        raise ValueError(
            f"modular reduction of phases up to {bound} by a polynomial of degree {degree} with "
            f"{double_angles} double angles was asked for; between the integers it reaches "
            f"2**{largest.bit_length() - _BITS}, and double precision holds no coefficients for that. Take a "
            "smaller bound, or leave degree and double angles to the library."
        )


def _nodes(bound: int, degree: int, hamming_weight: int, radius: float) -> list[int]:
    """One node at each integer, and the others where probability times error bound is largest."""
    probabilities = overflow_probabilities(hamming_weight)
    counts = dict.fromkeys(range(1 - bound, bound), 1)
    for _ in range(degree + 2 - 2 * bound):
        counts[max(counts, key=lambda i: _log_weight(i, counts, probabilities, radius))] += 1
    return [(i << _NODE_BITS) + node for i, count in counts.items() for node in _cluster(count, radius)]


def _log_weight(
    integer: int, counts: dict[int, int], probabilities: dict[int, float], radius: float
) -> float:
    """log of probability times the product of distances from the integer to all nodes."""
    probability = probabilities.get(integer, 0.0)
    if probability <= 0:
        return -math.inf
    distances = (
        count * math.log(abs(integer - i) if i != integer else radius) for i, count in counts.items()
    )
    return math.log(probability) + sum(distances)


def _cluster(count: int, radius: float) -> list[int]:
    """Chebyshev nodes of (-radius, radius)."""
    angles = (math.pi * (i + 0.5) / count for i in range(count))
    return [round(radius * math.cos(angle) * 2**_NODE_BITS) for angle in angles]


def _divided_differences(nodes: list[int], values: list[int]) -> list[int]:
    table = list(values)
    for order in range(1, len(nodes)):
        for i in range(len(nodes) - 1, order - 1, -1):
            table[i] = ((table[i] - table[i - 1]) << _NODE_BITS) // (nodes[i] - nodes[i - order])
    return table


def _newton(nodes: list[int], differences: list[int], x: int) -> int:
    total = 0
    for node, difference in zip(reversed(nodes), reversed(differences), strict=True):
        total = (total * (x - node) >> _NODE_BITS) + difference
    return total


def _cosine(x: int, double_angles: int) -> int:
    """cos(2 pi (x - 1/4) / 2^r) * 2^_BITS, its Taylor series cut below that."""
    turns = (4 * x - (1 << _NODE_BITS)) % (1 << (_NODE_BITS + double_angles + 2))
    angle = 2 * turns * _pi() >> (_NODE_BITS + double_angles + 2)
    square, term, total, k = angle * angle >> _BITS, 1 << _BITS, 1 << _BITS, 0
    while term:
        k += 2
        term = (term * square >> _BITS) // ((k - 1) * k)
        total += term if k % 4 == 0 else -term
    return total


@functools.cache
def _pi() -> int:
    """pi * 2^_BITS by Machin's formula."""
    return (4 * (4 * _arctangent_of_inverse(5) - _arctangent_of_inverse(239))) >> 16


def _arctangent_of_inverse(x: int) -> int:
    """arctan(1 / x) * 2^(_BITS + 16)."""
    power, total, k = (1 << (_BITS + 16)) // x, 0, 1
    while power:
        total += power // k if k % 4 == 1 else -(power // k)
        power, k = power // (x * x), k + 2
    return total


@np.errstate(over="ignore", invalid="ignore")  # of polynomials that are far off
def reduction_error(
    polynomial: Polynomial,
    double_angles: int,
    hamming_weight: int,
    ratio_bits: float,
    arcsine: Polynomial | None = None,
) -> tuple[float, float]:
    """(root mean square, for a message of magnitude 1) errors of the reduced message, without noise.

    The mean is over overflows as they are distributed, and messages uniform in (-1, 1). The second is the
    largest over the overflows that occur once in 2^40 coefficients or more often.
    """
    ratio = 2.0**ratio_bits
    messages = np.linspace(-1, 1, 65)
    chances = overflow_probabilities(hamming_weight)
    integers = np.array([i for i in chances if abs(i) < polynomial.interval[1] and chances[i] > 0])
    probabilities = np.array([chances[i] for i in integers])
    phases = integers[:, None] + messages / ratio
    found = reduce_in_the_clear(polynomial, double_angles, phases, arcsine) * ratio
    error = np.abs(found - messages)
    mean = float(probabilities @ np.mean(error**2, axis=1))
    return math.sqrt(mean), float(error[probabilities > 2.0**-40].max())


def reduce_in_the_clear(
    polynomial: Polynomial, double_angles: int, x: np.ndarray, arcsine: Polynomial | None = None
) -> np.ndarray:
    """sin(2 pi x) / (2 pi), or what an arcsine makes of it, as the circuit computes it, in float64."""
    value = np.polynomial.chebyshev.chebval(x / polynomial.interval[1], polynomial.coefficients)
    for _ in range(double_angles):
        value = 2 * value * value - 1
    if arcsine is not None:
        value = np.polynomial.chebyshev.chebval(value / arcsine.interval[1], arcsine.coefficients)
    return value / (2 * math.pi)
