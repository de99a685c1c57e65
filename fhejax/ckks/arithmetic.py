"""Arithmetic on ciphertexts: pure functions over pytrees, for plain calls, jit, vmap and sharding.

Levels and scales are static. Where two operands differ the library aligns them; a scale mismatch that
no level can absorb is an error that names both.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks import noise_estimate
from fhejax.ckks.key_recorder import RELINEARISATION, note_key
from fhejax.ckks.key_switching import relinearise_and_divide
from fhejax.ckks.noise_estimate import NoiseEstimate
from fhejax.ckks.parameters import Parameters, twiddles_of
from fhejax.ckks.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    SwitchingKey,
    check_same_key,
    check_same_parameters,
)
from fhejax.ring import Twiddles, divide_by_moduli, modular
from fhejax.ring.modular import constants
from fhejax.ring.wide import kernel, wide

_RELINEARISED_TOGETHER = 4  # enough for two cores, and within their caches
_ALIGNMENT_TOLERANCE = Fraction(1, 2**20)


def _kernel(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Compiled once for each level and shape: residues alone go in, so that no scale makes another."""
    return kernel(wide(function), static_argnames=("params", "level"))


def drop_level(ciphertext: Ciphertext, level: int) -> Ciphertext:
    """The same message at a lower level, the scale unchanged.

    Exact where the lower level's primes are among the higher one's. In rational rescaling, where
    they need not be, the message is multiplied by the integer nearest to the rescale's divisor and then
    rescaled, which leaves the rounding of a rescale.

    Raises:
        ValueError: when `level` is above the ciphertext's.
    """
    if level > ciphertext.level:
        raise ValueError(
            f"a ciphertext at level {ciphertext.level} was to be raised to level {level}; only "
            f"bootstrapping raises a level. Bring the other operand down instead."
        )
    if level == ciphertext.level:
        return ciphertext
    params = ciphertext.params
    if not params.contains(ciphertext.level, level):
        factor = round(params.rescale_factor(ciphertext.level, level))
        return rescale(multiply_integer(ciphertext, factor), level).replace(
            scale=ciphertext.scale * factor / params.rescale_factor(ciphertext.level, level)
        )
    if isinstance(ciphertext, NoiseEstimate):
        return noise_estimate.drop_level(ciphertext, level)
    return ciphertext.replace(data=_limbs_at(ciphertext.data, params, ciphertext.level, level), level=level)


def _limbs_at(data: jax.Array, params: Parameters, level: int, lower: int) -> jax.Array:
    if level == lower:
        return data
    (first, _), (start, stop) = params.limb_range(level), params.limb_range(lower)
    return data[..., start - first : stop - first, :]


def _plain_at(plaintext: Plaintext, level: int) -> Plaintext:
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


def negate(ciphertext: Ciphertext) -> Ciphertext:
    """-x. Level and scale stay."""
    if isinstance(ciphertext, NoiseEstimate):
        return noise_estimate.negate(ciphertext)
    return ciphertext.replace(data=_negate(ciphertext.data, ciphertext.params, ciphertext.level))


@_kernel
def _negate(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    return modular.negate(data, constants(params.level_moduli(level)).value)


def add(x: Ciphertext, y: Ciphertext | Plaintext) -> Ciphertext:
    """x + y, at the lower of both levels.

    Raises:
        ValueError: other parameters or keys, or scales that cannot be aligned.
    """
    return _combine(x, y, subtract=False)


def subtract(x: Ciphertext, y: Ciphertext | Plaintext) -> Ciphertext:
    """x - y, at the lower of both levels. Errors as `add`."""
    return _combine(x, y, subtract=True)


def _combine(x: Ciphertext, y: Ciphertext | Plaintext, subtract: bool) -> Ciphertext:
    check_same_parameters(x, y)
    if isinstance(y, Plaintext):
        level = min(x.level, y.level)
        x, y = drop_level(x, level), _plain_at(y, level)
        y = _as_operand(x, y)
    else:
        check_same_key(x, y)
        x, y = align(x, y)
    _check_scales(x.scale, y.scale)
    if isinstance(x, NoiseEstimate):
        return noise_estimate.combine(x, y, subtract)
    return x.replace(data=_combine_aligned(x.data, y.data, x.params, x.level, subtract))


def _as_operand(x: Ciphertext, y: Plaintext) -> Ciphertext:
    """A plaintext as a ciphertext with one component; as an estimate where x is one."""
    if isinstance(x, NoiseEstimate):
        return noise_estimate.as_estimate(y)
    return Ciphertext(y.data[..., None, :, :], x.key_id, y.params, y.level, y.scale, y.domain)


def _check_scales(first: Scale, second: Scale) -> None:
    if first is second or first == second:
        return
    ratio = first.fraction() / second.fraction()
    if abs(ratio - 1) > _ALIGNMENT_TOLERANCE:
        raise ValueError(
            f"operands of scales {first} and {second}, of ratio {float(ratio):.9g}, were to be added, and no "
            f"level is left to align them; rescale both to the same level first, or encode a plaintext with "
            f"scale=ciphertext.scale."
        )


@functools.partial(kernel, static_argnames=("params", "level", "subtract"))
@wide
def _combine_aligned(
    first: jax.Array, second: jax.Array, params: Parameters, level: int, subtract: bool
) -> jax.Array:
    count = max(first.shape[-3], second.shape[-3])
    modulus = constants(params.level_moduli(level)).value
    operation = modular.subtract if subtract else modular.add
    return operation(_pad_components(first, count), _pad_components(second, count), modulus)


def _pad_components(data: jax.Array, count: int) -> jax.Array:
    missing = count - data.shape[-3]
    return jnp.pad(data, [(0, 0)] * (data.ndim - 3) + [(0, missing), (0, 0), (0, 0)])


def align(x: Ciphertext, y: Ciphertext) -> tuple[Ciphertext, Ciphertext]:
    """Both at one level, and at one scale where a spare level lets the higher one be adjusted."""
    if x.level < y.level:
        second, first = align(y, x)
        return first, second
    if x.level > y.level and x.scale != y.scale:
        x = match_scale(x, y.level, y.scale)
    return drop_level(x, y.level), y


def match_scale(ciphertext: Ciphertext, level: int, scale: Scale) -> Ciphertext:
    """Bring a ciphertext from a higher level to exactly `level` and `scale`.

    Multiplies by the integer nearest to scale * q / current (q the primes dropped in the last step), then
    rescales; the relative error of the scale is below 2**-20 for primes of 25 bits or more, and below
    the noise.
    """
    above = drop_level(ciphertext, level + 1)
    divisor = above.params.rescale_factor(level + 1, level)
    factor = round(scale.fraction() * divisor / above.scale.fraction())
    if factor < 1:
        raise ValueError(
            f"a ciphertext of scale {above.scale} was to be brought to scale {scale} in one level, "
            f"which divides by at most 2**{math.log2(divisor):.1f}; rescale it first."
        )
    return rescale(multiply_integer(above, factor)).replace(scale=scale)


def bring_down(ciphertext: Ciphertext, level: int) -> Ciphertext:
    """The same values at a lower level; of that level's own scale, if they have the own scale of theirs.

    Raises:
        ValueError: a level above the ciphertext's.
    """
    scales = ciphertext.params.scales
    if ciphertext.level > level and ciphertext.scale == scales[ciphertext.level] != scales[level]:
        return match_scale(ciphertext, level, scales[level])
    return drop_level(ciphertext, level)


def multiply_integer(ciphertext: Ciphertext, factor: int) -> Ciphertext:
    """x times an integer, level and scale unchanged (the value is multiplied)."""
    if isinstance(ciphertext, NoiseEstimate):
        return noise_estimate.multiply_integer(ciphertext, factor)
    residues = np.array([factor % q for q in ciphertext.moduli], np.uint32)
    data = _multiply_integer(ciphertext.data, residues, ciphertext.params, ciphertext.level)
    return ciphertext.replace(data=data)


@_kernel
def _multiply_integer(data: jax.Array, residues: jax.Array, params: Parameters, level: int) -> jax.Array:
    return modular.multiply(data, residues[:, None], constants(params.level_moduli(level)))


def multiply_scalar(ciphertext: Ciphertext, value: float) -> Ciphertext:
    """x times a number, rescaled to the level below, at that level's own scale."""
    _check_level(ciphertext, "multiply_scalar")
    weight = _plain_scale(ciphertext)
    scaled = multiply_integer(ciphertext, round(value * weight.fraction()))
    return rescale(scaled.replace(scale=ciphertext.scale * weight))


def _plain_scale(ciphertext: Ciphertext) -> Scale:
    """The scale a plain factor needs so that the rescaled product has the lower level's own scale."""
    params, level = ciphertext.params, ciphertext.level
    return params.scales[level - 1] * params.rescale_factor(level, level - 1) / ciphertext.scale


def _check_level(ciphertext: Ciphertext, name: str) -> None:
    if ciphertext.level == 0:
        raise ValueError(
            f"{name} needs one level and none is left: these parameters have depth "
            f"{ciphertext.params.depth}, all spent. Make parameters of more depth."
        )


def multiply_plain(ciphertext: Ciphertext, plaintext: Plaintext) -> Ciphertext:
    """x times an encoded vector, without rescaling: the scales multiply."""
    check_same_parameters(ciphertext, plaintext)
    level = min(ciphertext.level, plaintext.level)
    x, plaintext = drop_level(ciphertext, level), _plain_at(plaintext, level)
    if isinstance(x, NoiseEstimate):
        return noise_estimate.multiply_plain(x, plaintext)
    data = _multiply_plain(x.data, plaintext.data, x.params, x.level)
    return x.replace(data=data, scale=x.scale * plaintext.scale)


@_kernel
def _multiply_plain(data: jax.Array, values: jax.Array, params: Parameters, level: int) -> jax.Array:
    return modular.multiply(data, values[..., None, :, :], constants(params.level_moduli(level)))


def tensor(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """x y with three components, neither relinearised nor rescaled: the scales multiply.

    Raises:
        ValueError: operands that already have three components.
    """
    check_same_parameters(x, y)
    check_same_key(x, y)
    level = min(x.level, y.level)
    if x.components != 2 or y.components != 2:
        raise ValueError(
            f"a product of ciphertexts with {x.components} and {y.components} components was asked "
            f"for; both need 2. Relinearise first."
        )
    x, y = drop_level(x, level), drop_level(y, level)
    if isinstance(x, NoiseEstimate):
        return noise_estimate.tensor(x, y)
    data = _tensor(x.data, y.data, x.params, level)
    return x.replace(data=data, scale=x.scale * y.scale)


@_kernel
def _tensor(x: jax.Array, y: jax.Array, params: Parameters, level: int) -> jax.Array:
    moduli = constants(params.level_moduli(level))
    x0, x1 = x[..., 0, :, :], x[..., 1, :, :]
    y0, y1 = y[..., 0, :, :], y[..., 1, :, :]
    outer = modular.multiply(x0, y1, moduli)
    cross = modular.add(outer, modular.multiply(x1, y0, moduli), moduli.value)
    parts = [modular.multiply(x0, y0, moduli), cross, modular.multiply(x1, y1, moduli)]
    return jnp.stack(parts, -3)


def square_tensor(x: Ciphertext) -> Ciphertext:
    """x^2 with three components, neither relinearised nor rescaled; 3 products where `tensor` has 4."""
    if x.components != 2:
        raise ValueError(
            f"the square of a ciphertext with {x.components} components was asked for; it needs 2. "
            f"Relinearise first."
        )
    if isinstance(x, NoiseEstimate):
        return noise_estimate.square_tensor(x)
    return x.replace(data=_square_tensor(x.data, x.params, x.level), scale=x.scale * x.scale)


@_kernel
def _square_tensor(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    moduli = constants(params.level_moduli(level))
    return jnp.stack(modular.square_pair(data[..., 0, :, :], data[..., 1, :, :], moduli), -3)


def relinearise(
    keys: EvaluationKeys, ciphertext: Ciphertext, *, target_level: int | None = None
) -> Ciphertext:
    """Three components to two, and down to `target_level` in the same division.

    Args:
        keys: with a relinearisation key of the ciphertext's level or a higher one.
        ciphertext: data [..., 3, limb, N]; worked on one by one over the batch, so that each key
            switch stays in the cache.
        target_level: by default the ciphertext's own, without a rescale.

    Raises:
        ValueError: no such key, a key of other parameters, or a target above the level.
    """
    level = ciphertext.level
    target = level if target_level is None else target_level
    if target > level:
        raise ValueError(
            f"a relinearisation from level {level} to {target} was asked for; it only goes down."
        )
    if ciphertext.components == 2:
        return ciphertext if target == level else rescale(ciphertext, target)
    if isinstance(ciphertext, NoiseEstimate):
        note_key(keys, RELINEARISATION, level)
        return noise_estimate.relinearise(keys, ciphertext, target_level=target)
    key = _relinearisation_key(keys, ciphertext)
    data = _relinearise(key, ciphertext.data, twiddles_of(ciphertext.params), level, target)
    return _at_level(ciphertext, data, target)


def _relinearisation_key(keys: EvaluationKeys, ciphertext: Ciphertext) -> SwitchingKey:
    check_same_parameters(keys, ciphertext)
    check_same_key(keys, ciphertext)
    key = keys.relinearisation
    if key is None or key.level < ciphertext.level:
        have = "none" if key is None else f"one for level {key.level} and below"
        raise ValueError(
            f"relinearisation at level {ciphertext.level} needs its key, and these evaluation keys have "
            f"{have}; make them with evaluation_keys(key, secret, relinearise=True)."
        )
    return key


@functools.partial(kernel, static_argnames=("level", "target"))
@wide
def _relinearise(
    key: SwitchingKey, data: jax.Array, twiddles: Twiddles, level: int, target: int
) -> jax.Array:
    together = math.gcd(math.prod(data.shape[:-3]), _RELINEARISED_TOGETHER)
    blocks = data.reshape(-1, together, *data.shape[-3:])

    def one(block: jax.Array) -> jax.Array:
        return relinearise_and_divide(block, twiddles, key, level, target)

    result = one(blocks[0]) if blocks.shape[0] == 1 else jax.lax.map(one, blocks)
    return result.reshape(*data.shape[:-3], *result.shape[-3:])


def _at_level(ciphertext: Ciphertext, data: jax.Array, target: int) -> Ciphertext:
    """`data` after division by the primes between the two levels."""
    params = ciphertext.params
    scale = ciphertext.scale / params.rescale_factor(ciphertext.level, target)
    return ciphertext.replace(data=data, level=target, scale=params.settle(target, scale))


def rescale(ciphertext: Ciphertext, target_level: int | None = None) -> Ciphertext:
    """Divide by the primes between the level and `target_level` (by default the next), rounding.

    Adds a coefficient variance of (1 + M V_s) / 12.

    Raises:
        ValueError: at level 0, or a target that is not below.
    """
    _check_level(ciphertext, "rescale")
    target = ciphertext.level - 1 if target_level is None else target_level
    if not 0 <= target < ciphertext.level:
        raise ValueError(
            f"a rescale from level {ciphertext.level} to {target} was asked for; it only goes down."
        )
    if isinstance(ciphertext, NoiseEstimate):
        return noise_estimate.rescale(ciphertext, target)
    params = ciphertext.params
    data = _rescale(ciphertext.data, twiddles_of(params), params, ciphertext.level, target)
    return _at_level(ciphertext, data, target)


@functools.partial(kernel, static_argnames=("params", "level", "target"))
@wide
def _rescale(data: jax.Array, twiddles: Twiddles, params: Parameters, level: int, target: int) -> jax.Array:
    return divide_by_moduli(data, twiddles, params.level_moduli(level), params.level_moduli(target))


def multiply(keys: EvaluationKeys, x: Ciphertext, y: Ciphertext) -> Ciphertext:
    """x y, relinearised and rescaled: one level down, at that level's own scale.

    Raises:
        ValueError: no level left, no relinearisation key, other parameters or keys.
    """
    x, y = align(x, y)
    _check_level(x, "multiply")
    return relinearise(keys, tensor(x, y), target_level=x.level - 1)


def square(keys: EvaluationKeys, x: Ciphertext) -> Ciphertext:
    """x^2, relinearised and rescaled: one level down, at that level's own scale."""
    _check_level(x, "square")
    return relinearise(keys, square_tensor(x), target_level=x.level - 1)
