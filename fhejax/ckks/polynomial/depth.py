"""The levels that a polynomial takes, and those that bring a large input down first.

Scales decide: 2 T_m(y / 2) of an input y that is held at twice the level's own scale keeps that of T_m;
anything beyond grows with every product.
"""

import math

from fhejax.ckks.noise.noise_estimate import NoiseEstimate
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.polynomial.product_plan import ProductPlan, depth_of_index
from fhejax.ckks.polynomial.series import Series
from fhejax.ckks.types import Ciphertext

_TOLERATED_BITS = 1.5  # of scale above the level's own in the highest T_m: its factor loses as many
_TOLERATED_LINEAR_BITS = 8.0  # the same where the input is only multiplied by plain numbers


def polynomial_depth(degree: int, *, bound: float = 1.0) -> int:
    """Levels that `evaluate_polynomial` takes: ceil(log2(degree + 1)), and one more for large inputs.

    Args:
        degree: of the polynomial.
        bound: half the interval's width, times the ciphertext's scale over its level's own. Up to 2 is
            free: with y = 2 x / bound, the scaled 2 T_m(y / 2) have 2 T_2m = (2 T_m)^2 - 2, without a
            factor. Beyond, the scale of T_m would grow like (bound / 2)^m, and nothing but a division
            by primes brings it down. An input of a scale that is smaller by `bound` has none of this.

    Raises:
        ValueError: a negative degree, or a bound that is not positive and finite.
    """
    if degree < 0 or not 0 < bound < math.inf:
        raise ValueError(
            f"the depth of a polynomial of degree {degree} with a bound of {bound} was asked for; the degree "
            f"is at least 0, and the bound positive and finite."
        )
    depth, bits = degree.bit_length(), math.log2(bound)
    if depth < 2:
        return depth + (depth == 1 and bits > _TOLERATED_LINEAR_BITS)
    return depth + (2 ** (depth - 1) * (bits - 1) + 1 > _TOLERATED_BITS)


def choose_levels(
    ciphertext: Ciphertext | NoiseEstimate, series: Series, plan: ProductPlan, target_level: int | None
) -> tuple[int, int]:
    """(level of the result, levels spent before to bring the input's scale down).

    Raises:
        ValueError: when there are too few.
    """
    level, params = ciphertext.level, ciphertext.params
    lowest = 0 if target_level is None else target_level
    _check_depth(plan, level, lowest)
    scale = ciphertext.scale * series.half_width
    for extra in range(level - lowest - plan.depth + 1):
        target = level - plan.depth - extra if target_level is None else target_level
        if _excess_bits(params, scale, plan, target, extra, series.chebyshev) <= _tolerated(plan):
            return target, extra
    raise ValueError(
        f"a polynomial of values up to {float(series.half_width):.4g} at scale {ciphertext.scale} was to be "
        f"evaluated in {level - lowest} levels. It takes {plan.depth}, and here one more: values times scale "
        f"are more than twice the level's own scale, {params.scales[level]}, and must be brought down first. "
        f"Use parameters with one level more, or encode x, or end the product that it comes from, at a scale "
        f"that is {float(series.half_width):.4g} times smaller."
    )


def _check_depth(plan: ProductPlan, level: int, lowest: int) -> None:
    left = level - lowest
    if not 0 <= lowest <= level:
        raise ValueError(
            f"a polynomial of a ciphertext at level {level} was asked for at level {lowest}; the target is "
            f"from 0 to {max(0, level - plan.depth)}."
        )
    if left < plan.depth:
        raise ValueError(
            f"a polynomial that takes {plan.depth} levels was to be evaluated on a ciphertext at level "
            f"{level}, down to level {lowest}: {left} are left, in which degree {2**left - 1} would fit. "
            f"Lower the degree, encrypt at a higher level, or make parameters of more depth."
        )


def _tolerated(plan: ProductPlan) -> float:
    return _TOLERATED_BITS if plan.basis else _TOLERATED_LINEAR_BITS


def _excess_bits(
    params: Parameters, scale: Scale, plan: ProductPlan, target: int, extra: int, chebyshev: bool
) -> float:
    """How far the scale of the highest power of two in the basis would lie above its level's own."""
    level = target + plan.depth + extra
    if not plan.depth:
        return 0.0
    for _ in range(extra):
        divisor = params.rescale_factor(level, level - 1)
        scale = scale * lowering_factor(params, level, scale) / divisor
        level -= 1
    for _ in range(depth_of_index(plan.largest)):
        _, product = product_scale(params, level, scale, scale, chebyshev)
        scale = product / params.rescale_factor(level, level - 1)
        level -= 1
    return scale.bits - params.scales[level].bits


def lowering_factor(params: Parameters, level: int, scale: Scale) -> int:
    """The integer that brings a scale near the own one of the level below, after a rescale."""
    wished = params.scales[level - 1].fraction() * params.rescale_factor(level, level - 1)
    return max(1, round(wished / scale.fraction()))


def product_scale(
    params: Parameters, above: int, first: Scale, second: Scale, chebyshev: bool
) -> tuple[int, Scale]:
    """(factor, scale) of a product before it is divided: factor T_i T_j of this scale stands for 2 T_i T_j.

    The factor brings it closest to the lower level's own scale; in the monomial basis there is no 2.
    """
    product = first.fraction() * second.fraction() / (2 if chebyshev else 1)
    wished = params.scales[above - 1].fraction() * params.rescale_factor(above, above - 1)
    factor = max(1, round(wished / product))
    return factor, Scale.of(product * factor)
