"""Reduction modulo one of slots: sin(2 pi x) / (2 pi), near x where x is near an integer.

A cosine of x / 2^r near the integers, and r times cos(2 a) = 2 cos(a)^2 - 1 (Bossuat, Mouchet,
Troncoso-Pastoriza and Hubaux 2021; Han and Ki 2020). Where x may be far from the integer a polynomial near
the arcsine follows (Lee, Lee, Lee, Kim and No, "High-precision bootstrapping of RNS-CKKS homomorphic
encryption using optimal minimax polynomial approximation and inverse sine function", 2021). Scales are chosen
from the end backwards, so that the result has exactly the scale asked for.
"""

import functools
import math
from fractions import Fraction

import jax.numpy as jnp
import numpy as np

from fhejax.approx import Polynomial, minimax
from fhejax.ckks.arithmetic import relinearise, square_tensor
from fhejax.ckks.operation import Keys, Value
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.polynomial.depth import polynomial_depth
from fhejax.ckks.polynomial.evaluation import evaluate_undivided
from fhejax.ckks.scalars import weighted_sum

_TWO_PI = Fraction(math.tau)


def modular_reduction_depth(degree: int, double_angles: int, arcsine_degree: int | None = None) -> int:
    """Levels that a modular reduction takes, its last division included."""
    last = 0 if arcsine_degree is None else polynomial_depth(arcsine_degree)
    return polynomial_depth(degree) + double_angles + last


@functools.cache
def approximate_arcsine(degree: int, ratio_bits: float) -> Polynomial:
    """The best odd polynomial for arcsin on the sines of angles up to 2 pi / 2^ratio_bits.

    Args:
        degree: odd, 3 or more; each 2 of them take 2 ratio_bits - 5 bits or so off the error.
        ratio_bits: log2 of q_0 over the scale of a message of at most 1; above 2, where the sine turns back.

    Raises:
        ValueError: another degree.
    """
    if degree < 3 or degree % 2 == 0:
        raise ValueError(
            f"an arcsine of degree {degree} was asked for after the sine of a modular reduction; the degree "
            "is odd and at least 3, or None for no arcsine."
        )
    largest = math.sin(math.tau / 2**ratio_bits)
    fitted = minimax(jnp.arcsin, degree, (-largest, largest))
    odd = np.where(np.arange(degree + 1) % 2, fitted.coefficients, 0.0)  # rounding leaves some of the others
    return Polynomial.from_chebyshev(odd, fitted.interval)


def undivided_reduction(
    keys: Keys,
    ciphertext: Value,
    cosine: Polynomial,
    double_angles: int,
    arcsine: Polynomial | None = None,
    *,
    target_scale: Scale,
) -> Value:
    """x minus the integer nearest to it, for slots x that are close to integers, but for the last division.

    That is `relinearise` to the level below, as after `evaluate_undivided`: what is added before shares its
    rounding.

    Args:
        keys: with a relinearisation key; None will do for a `NoiseEstimate`.
        ciphertext: x, of any batch, at a scale such that scale times half the interval's width is at most
            twice the level's own scale.
        cosine: near cos(2 pi (x - 1/4) / 2^double_angles), as from `interpolate_cosine`.
        double_angles: r.
        arcsine: as from `approximate_arcsine`, for x - integer from a wider range.
        target_scale: of the result, once divided; its values are (x - integer), without an arcsine to
            relative precision (2 pi (x - integer))^2 / 6.

    Returns:
        Ciphertext [..., 3, limb, N] one level above that of the result, which is `modular_reduction_depth`
        levels below; of the target's scale times the primes between.

    Raises:
        ValueError: too few levels, or no relinearisation key.
    """
    params = ciphertext.params
    last = None if arcsine is None else arcsine.degree
    level = ciphertext.level - modular_reduction_depth(cosine.degree, double_angles, last)
    if level < 0:
        raise ValueError(
            f"a modular reduction of {ciphertext.level - level} levels was asked for at level "
            f"{ciphertext.level}; make bootstrapping parameters, or lower the degree."
        )
    angle_scale = Scale.of(target_scale.fraction() / _TWO_PI)
    if arcsine is None:
        total = _undivided_sine(keys, ciphertext, cosine, double_angles, angle_scale)
    else:
        # T_1 of the arcsine is the sine over its largest value: at the level's own scale like all of its T_k.
        sine_scale = params.scales[level + polynomial_depth(arcsine.degree)] / arcsine.interval[1]
        sine = _undivided_sine(keys, ciphertext, cosine, double_angles, sine_scale)
        sine = _divided(keys, sine, sine_scale)
        total = evaluate_undivided(keys, sine, arcsine, target_level=level, target_scale=angle_scale)
    return total.replace(scale=target_scale * params.rescale_factor(level + 1, level))


def _undivided_sine(keys: Keys, x: Value, cosine: Polynomial, double_angles: int, scale: Scale) -> Value:
    """sin(2 pi x), which the last division brings to exactly this scale."""
    level = x.level - modular_reduction_depth(cosine.degree, double_angles)
    scales = double_angle_scales(x.params, level, double_angles, scale)
    options = {"target_level": level + double_angles, "target_scale": scales[0]}
    total = evaluate_undivided(keys, x, cosine, **options)
    for each in scales[:-1]:
        total = _undivided_double_angle(_divided(keys, total, each))
    return total


def _divided(keys: Keys, total: Value, scale: Scale) -> Value:
    """One level down, at exactly this scale."""
    return relinearise(keys, total, target_level=total.level - 1).replace(scale=scale)


def double_angle_scales(params: Parameters, level: int, count: int, last: Scale) -> list[Scale]:
    """The scale before and after each of `count` doublings that end at `level` and at the scale `last`.

    2 c^2 at half the product's scale, divided by the primes dropped: s_(i+1) = s_i^2 / (2 q).
    """
    scales = [last]
    for above in range(level + 1, level + count + 1):
        scales.insert(0, (scales[0] * 2 * params.rescale_factor(above, above - 1)).square_root())
    return scales


def _undivided_double_angle(cosine: Value) -> Value:
    """2 c^2 - 1, of three components: the factor 2 is one of the scale."""
    square = square_tensor(cosine)
    doubled = square.replace(scale=square.scale / 2)
    return weighted_sum([doubled], [1], -round(doubled.scale.fraction()))
