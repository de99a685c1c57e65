"""Ciphertexts at lower levels and other scales: drops, rescales, and bringing two of them together.

Levels and scales are static. Where two operands differ the library aligns them.
"""

import dataclasses
import functools
import math
from fractions import Fraction

import jax

from fhejax.ckks.keys.shared_levels import divided, raised, working_level
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.scalars import multiply_integer
from fhejax.ckks.types import Ciphertext, Plaintext
from fhejax.ring import Twiddles, divide_by_moduli
from fhejax.ring.wide import kernel, wide

_ALIGNMENT_TOLERANCE = Fraction(1, 2**20)


def check_evaluation_domain(operation: str, *operands: Ciphertext | Plaintext | NoiseEstimate) -> None:
    """Refuse operands that hold coefficients, where values at the roots are worked on."""
    for operand in operands:
        if operand.domain != "evaluation":
            raise ValueError(
                f"{operation} of a {type(operand).__name__} in the {operand.domain} domain was asked for; it "
                f"works in the evaluation domain, into which fhejax.ring.ntt brings its data."
            )


def check_level_left(ciphertext: Ciphertext | NoiseEstimate, name: str) -> None:
    """Refuse a ciphertext at level 0, which no rescale can follow."""
    if ciphertext.level == 0:
        raise ValueError(
            f"{name} needs one level and none is left: these parameters have depth "
            f"{ciphertext.params.depth}, all spent. Make parameters of more depth."
        )


def check_scales(first: Scale, second: Scale) -> None:
    """Refuse scales that differ by more than their own rounding, where two operands are to be added."""
    if first is second or first == second:
        return
    ratio = first.fraction() / second.fraction()
    if abs(ratio - 1) > _ALIGNMENT_TOLERANCE:
        raise ValueError(
            f"operands of scales {first} and {second}, of ratio {float(ratio):.9g}, were to be added, and no "
            f"level is left to align them; rescale both to the same level first, or encode a plaintext with "
            f"scale=ciphertext.scale."
        )


def drop_level(ciphertext: Value, level: int) -> Value:
    """The same message at a lower level, the scale unchanged.

    Exact where the lower level's primes are among the higher one's. In rational rescaling, where
    they need not be, the message is multiplied by the integer nearest to the rescale's divisor and then
    rescaled, which leaves the rounding of a rescale.

    Raises:
        ValueError: when `level` is above the ciphertext's, or negative.
    """
    if level == ciphertext.level:
        return ciphertext
    ciphertext.params.level_moduli(level)
    if level > ciphertext.level:
        raise ValueError(
            f"a ciphertext at level {ciphertext.level} was to be raised to level {level}; only "
            f"bootstrapping raises a level. Bring the other operand down instead."
        )
    params = ciphertext.params
    if not params.contains(ciphertext.level, level):
        factor = round(params.rescale_factor(ciphertext.level, level))
        return rescale(multiply_integer(ciphertext, factor), level).replace(
            scale=ciphertext.scale * factor / params.rescale_factor(ciphertext.level, level)
        )
    return _without_limbs(ciphertext, level)


@operation(noise=estimates.drop_level)
def _without_limbs(ciphertext: Ciphertext, level: int) -> Ciphertext:
    params = ciphertext.params
    return ciphertext.replace(data=_limbs_at(ciphertext.data, params, ciphertext.level, level), level=level)


def _limbs_at(data: jax.Array, params: Parameters, level: int, lower: int) -> jax.Array:
    if level == lower:
        return data
    (first, _), (start, stop) = params.limb_range(level), params.limb_range(lower)
    return data[..., start - first : stop - first, :]


def plaintext_at(plaintext: Plaintext, level: int) -> Plaintext:
    """The plaintext modulo the primes of a lower level.

    Raises:
        ValueError: when it was encoded without some of these primes.
    """
    params = plaintext.params
    if not params.contains(plaintext.level, level):
        raise ValueError(
            f"a plaintext encoded at level {plaintext.level} met a ciphertext at level {level}, which has "
            f"other primes; encode it with level={level}."
        )
    data = _limbs_at(plaintext.data, params, plaintext.level, level)
    return dataclasses.replace(plaintext, data=data, level=level)


def rescale(ciphertext: Value, target_level: int | None = None) -> Value:
    """Divide by the primes between the level and `target_level` (by default the next), rounding.

    Adds a coefficient variance of (1 + M V_s) / 12.

    Raises:
        ValueError: at level 0, or a target that is not below.
    """
    check_level_left(ciphertext, "rescale")
    target = ciphertext.level - 1 if target_level is None else target_level
    if not 0 <= target < ciphertext.level:
        raise ValueError(
            f"a rescale from level {ciphertext.level} to {target} was asked for; it only goes down."
        )
    check_evaluation_domain("a rescale", ciphertext)
    return _rescaled(ciphertext, target)


@operation(noise=estimates.rescale)
def _rescaled(ciphertext: Ciphertext, target: int) -> Ciphertext:
    params = ciphertext.params
    data, level = ciphertext.data, ciphertext.level
    shared = working_level(params, level, data, target=target)
    if shared is None:
        data = _divide(data, twiddles_of(params), params, level, target)
    else:
        data = divided(raised(data, params, shared), params, level, shared, target)
    return divided_to(ciphertext, data, target)


@functools.partial(kernel, static_argnames=("params", "level", "target"))
@wide
def _divide(data: jax.Array, twiddles: Twiddles, params: Parameters, level: int, target: int) -> jax.Array:
    return divide_by_moduli(data, twiddles, params.level_moduli(level), params.level_moduli(target))


def divided_to(ciphertext: Ciphertext, data: jax.Array, target: int) -> Ciphertext:
    """`data` after division by the primes between the two levels."""
    params = ciphertext.params
    scale = ciphertext.scale / params.rescale_factor(ciphertext.level, target)
    return ciphertext.replace(data=data, level=target, scale=params.settle(target, scale))


def align(x: Value, y: Value) -> tuple[Value, Value]:
    """Both at one level, and at one scale where a spare level lets the higher one be adjusted."""
    if x.level < y.level:
        second, first = align(y, x)
        return first, second
    if x.level > y.level and x.scale != y.scale:
        x = match_scale(x, y.level, y.scale)
    return drop_level(x, y.level), y


def match_scale(ciphertext: Value, level: int, scale: Scale) -> Value:
    """Bring a ciphertext from a higher level to exactly `level` and `scale`.

    Multiplies by the integer nearest to scale * q / current (q the primes dropped in the last step), then
    rescales; the relative error of the scale is below 2**-20 for primes of 25 bits or more, and below
    the noise.

    Raises:
        ValueError: a level that is not below the ciphertext's, or a scale that is too small or too large to
            be reached.
    """
    if not 0 <= level < ciphertext.level:
        raise ValueError(
            f"a ciphertext at level {ciphertext.level} was to be brought to level {level} and another scale; "
            f"match_scale takes at least one level, down to level 0."
        )
    above = drop_level(ciphertext, level + 1)
    divisor = above.params.rescale_factor(level + 1, level)
    factor = round(scale.fraction() * divisor / above.scale.fraction())
    if factor < 1:
        raise ValueError(
            f"a ciphertext of scale {above.scale} was to be brought to scale {scale} in one level, "
            f"which divides by at most 2**{math.log2(divisor):.1f}; rescale it first."
        )
    return rescale(multiply_integer(above, factor)).replace(scale=scale)


def bring_down(ciphertext: Value, level: int) -> Value:
    """The same values at a lower level; of that level's own scale, if they have the own scale of theirs.

    Raises:
        ValueError: a level above the ciphertext's.
    """
    scales = ciphertext.params.scales
    if ciphertext.level > level and ciphertext.scale == scales[ciphertext.level] != scales[level]:
        return match_scale(ciphertext, level, scales[level])
    return drop_level(ciphertext, level)
