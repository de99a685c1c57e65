"""Reduction modulo one of slots: sin(2 pi x) / (2 pi), near x where x is near an integer.

A cosine of x / 2^r near the integers, and r times cos(2 a) = 2 cos(a)^2 - 1 (Bossuat, Mouchet,
Troncoso-Pastoriza and Hubaux 2021; Han and Ki 2020). Scales are chosen from the end backwards, so that the
result has exactly the scale asked for.
"""

import math
from fractions import Fraction

from fhejax.approx import Polynomial
from fhejax.ckks.arithmetic import relinearise, square_tensor
from fhejax.ckks.constants import weighted_sum
from fhejax.ckks.parameters import Parameters
from fhejax.ckks.polynomial_evaluation import evaluate_polynomial, polynomial_depth
from fhejax.ckks.scale import Scale
from fhejax.ckks.types import Ciphertext, EvaluationKeys

_TWO_PI = Fraction(math.tau)


def modular_reduction_depth(degree: int, double_angles: int) -> int:
    """Levels that `modular_reduction` takes."""
    return polynomial_depth(degree) + double_angles


def modular_reduction(
    keys: EvaluationKeys | None,
    ciphertext: Ciphertext,
    cosine: Polynomial,
    double_angles: int,
    *,
    target_scale: Scale,
) -> Ciphertext:
    """x minus the integer nearest to it, for slots x that are close to integers.

    Args:
        keys: with a relinearisation key; None will do for a `NoiseEstimate`.
        ciphertext: x, of any batch, at a scale such that scale times half the interval's width is at most
            twice the level's own scale.
        cosine: near cos(2 pi (x - 1/4) / 2^double_angles), as from `interpolate_cosine`.
        double_angles: r.
        target_scale: of the result; its values are (x - integer) to relative precision (2 pi x)^2 / 6.

    Returns:
        `modular_reduction_depth` levels below.

    Raises:
        ValueError: too few levels, or no relinearisation key.
    """
    params = ciphertext.params
    level = ciphertext.level - modular_reduction_depth(cosine.degree, double_angles)
    if level < 0:
        raise ValueError(
            f"a modular reduction of {ciphertext.level - level} levels was asked for at level "
            f"{ciphertext.level}; make bootstrapping parameters, or lower the degree."
        )
    sine_scale = Scale.of(target_scale.fraction() / _TWO_PI)
    scales = double_angle_scales(params, level, double_angles, sine_scale)
    options = {"target_level": level + double_angles, "target_scale": scales[0]}
    value = evaluate_polynomial(keys, ciphertext, cosine, **options)
    for scale in scales[1:]:
        value = _double_angle(keys, value).replace(scale=scale)
    return value.replace(scale=target_scale)


def double_angle_scales(params: Parameters, level: int, count: int, last: Scale) -> list[Scale]:
    """The scale before and after each of `count` doublings that end at `level` and at the scale `last`.

    2 c^2 at half the product's scale, divided by the primes dropped: s_(i+1) = s_i^2 / (2 q).
    """
    scales = [last]
    for above in range(level + 1, level + count + 1):
        scales.insert(0, (scales[0] * 2 * params.rescale_factor(above, above - 1)).square_root())
    return scales


def _double_angle(keys: EvaluationKeys | None, cosine: Ciphertext) -> Ciphertext:
    """2 c^2 - 1, one level down: the factor 2 is one of the scale."""
    square = square_tensor(cosine)
    doubled = square.replace(scale=square.scale / 2)
    total = weighted_sum([doubled], [1], -round(doubled.scale.fraction()))
    return relinearise(keys, total, target_level=cosine.level - 1)
