"""Which polynomial and how many double angles make a modular reduction precise in the fewest levels."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from fhejax.approx import Polynomial
from fhejax.ckks.bootstrapping.cosine_interpolation import interpolate_cosine, reduction_error
from fhejax.ckks.bootstrapping.modular_reduction import approximate_arcsine
from fhejax.ckks.bootstrapping.options import HIGHEST_DEGREE, LONGEST_REDUCTION

_SMALLEST_ERROR = 2.0**-36  # of the message: below, noise is larger in every ring
_COEFFICIENT_ERROR = 2.0**-43  # of the phase, from coefficients in double precision
_LARGEST_ERROR = 0.5  # of a message of 1


@functools.cache
def choose_reduction(
    bound: int,
    hamming_weight: int,
    ratio_bits: float,
    degree: int | None,
    double_angles: int | None,
    arcsine_degree: int | None = None,
) -> tuple[int, int]:
    """(degree, double angles) in the fewest levels: what is not given is chosen.

    Raises:
        ValueError: where none is precise enough, or what is given leaves nothing of the message.
    """
    if degree is not None and double_angles is not None:
        error = _error(bound, degree, double_angles, hamming_weight, ratio_bits, arcsine_degree)
        _check_error(error, bound, degree, double_angles)
        return degree, double_angles
    for depth in range(1, LONGEST_REDUCTION + 1):
        for count in range(depth - 1, -1, -1) if double_angles is None else (double_angles,):
            degrees = _degrees(depth - count, bound) if degree is None else _same_depth(degree, depth - count)
            shape = count, hamming_weight, ratio_bits, arcsine_degree
            if degrees and _is_precise(bound, degrees[-1], *shape):
                return next(d for d in degrees if _is_precise(bound, d, *shape)), count
    raise ValueError(
        f"a modular reduction for K = {bound} of degree {degree} with {double_angles} double angles was "
        f"asked for, and none in {LONGEST_REDUCTION} levels is as precise as the sine; leave both to the "
        "library, and take a smaller bound or a smaller ratio_bits."
    )


def _check_error(error: float, bound: int, degree: int, double_angles: int) -> None:
    if not error < _LARGEST_ERROR:
        raise ValueError(
            f"a modular reduction for K = {bound} of degree {degree} with {double_angles} double angles was "
            f"asked for, which is off by up to {error:.2g} for a message of 1; raise the degree, or leave "
            "both to the library."
        )


def _degrees(levels: int, bound: int) -> Sequence[int]:
    """All that take this many levels, and have a node for each integer."""
    if not 1 <= levels <= HIGHEST_DEGREE.bit_length():
        return ()
    return range(max(2 * (bound - 1), 2 ** (levels - 1)), 2**levels)


def _same_depth(degree: int, levels: int) -> Sequence[int]:
    return (degree,) if degree.bit_length() == levels else ()


def _is_precise(
    bound: int,
    degree: int,
    double_angles: int,
    hamming_weight: int,
    ratio_bits: float,
    arcsine_degree: int | None,
) -> bool:
    """Whether the polynomial adds little to the error of the sine, or of the arcsine of it."""
    if degree < 2 * (bound - 1):
        return False
    try:
        found = _error(bound, degree, double_angles, hamming_weight, ratio_bits, arcsine_degree)
    except ValueError:
        return False  # of too large values between the integers
    arcsine = None if arcsine_degree is None else approximate_arcsine(arcsine_degree, ratio_bits)
    unavoidable = max(_SMALLEST_ERROR, _COEFFICIENT_ERROR * 2**ratio_bits)
    return found < 1.5 * max(_error_without_cosine(arcsine, ratio_bits), unavoidable)


def _error(
    bound: int,
    degree: int,
    double_angles: int,
    hamming_weight: int,
    ratio_bits: float,
    arcsine_degree: int | None,
) -> float:
    cosine = interpolate_cosine(bound, degree, double_angles, hamming_weight, ratio_bits)
    arcsine = None if arcsine_degree is None else approximate_arcsine(arcsine_degree, ratio_bits)
    return reduction_error(cosine, double_angles, hamming_weight, ratio_bits, arcsine)[1]


def _error_without_cosine(arcsine: Polynomial | None, ratio_bits: float) -> float:
    """The error of the sine, or of its arcsine, on a message of 1 at most."""
    if arcsine is None:
        return (math.tau / 2**ratio_bits) ** 2 / 6
    angles = math.tau / 2**ratio_bits * np.linspace(0, 1, 65)
    found = np.polynomial.chebyshev.chebval(np.sin(angles) / arcsine.interval[1], arcsine.coefficients)
    return float(np.abs(found - angles).max()) / angles[-1]
