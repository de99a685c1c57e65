"""Arithmetic on ciphertexts: pure functions over pytrees, for plain calls, jit, vmap and sharding.

Levels and scales are static. Where two operands differ the library aligns them; a scale mismatch that
no level can absorb is an error that names both.
"""

import dataclasses
import functools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.key_switching import relinearise_and_divide
from fhejax.ckks.parameters import Parameters
from fhejax.ckks.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    Plaintext,
    SwitchingKey,
    check_same_key,
    check_same_parameters,
    is_concrete,
)
from fhejax.ring import divide_by_moduli, modular, multiply_integers
from fhejax.ring.matrix_product import modular_matrix_product
from fhejax.ring.modular import constants
from fhejax.ring.wide import wide

_RELINEARISED_TOGETHER = 4  # enough for two cores, and within their caches
_ALIGNMENT_TOLERANCE = Fraction(1, 2**20)


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
    params = ciphertext.params
    if not _contains(params, ciphertext.level, level):
        factor = round(params.rescale_factor(ciphertext.level, level))
        return rescale(multiply_integer(ciphertext, factor), level).replace(
            scale=ciphertext.scale * factor / params.rescale_factor(ciphertext.level, level)
        )
    return ciphertext.replace(data=_limbs_at(ciphertext.data, params, ciphertext.level, level), level=level)


def _contains(params: Parameters, level: int, lower: int) -> bool:
    """Whether the primes of the lower level are all in use at the higher one."""
    (first, last), (start, stop) = params.limb_range(level), params.limb_range(lower)
    return first <= start and stop <= last


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
    if not _contains(params, plaintext.level, level):
        raise ValueError(
            f"a plaintext encoded at level {plaintext.level} met a ciphertext at level {level}, which has "
            f"other primes; encode it with level={level}."
        )
    data = _limbs_at(plaintext.data, params, plaintext.level, level)
    return dataclasses.replace(plaintext, data=data, level=level)


def negate(ciphertext: Ciphertext) -> Ciphertext:
    """-x. Level and scale stay."""
    return _negate(ciphertext)


@jax.jit
@wide
def _negate(x: Ciphertext) -> Ciphertext:
    return x.replace(data=modular.negate(x.data, constants(x.moduli).value))


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
        y = Ciphertext(y.data[..., None, :, :], x.key_id, y.params, y.level, y.scale, y.domain)
    else:
        check_same_key(x, y)
        x, y = align(x, y)
    _check_scales(x.scale, y.scale)
    return _combine_aligned(x, y, subtract)


def _check_scales(first: Scale, second: Scale) -> None:
    if first == second:
        return
    ratio = first.fraction() / second.fraction()
    if abs(ratio - 1) > _ALIGNMENT_TOLERANCE:
        raise ValueError(
            f"operands of scales {first} and {second} were to be added, and no level is left to align "
            f"them; rescale both to the same level first, or encode the plaintext at scale {first}."
        )


@functools.partial(jax.jit, static_argnames="subtract")
@wide
def _combine_aligned(x: Ciphertext, y: Ciphertext, subtract: bool) -> Ciphertext:
    count = max(x.components, y.components)
    modulus = constants(x.moduli).value
    first, second = (_pad_components(c.data, count) for c in (x, y))
    data = (modular.subtract if subtract else modular.add)(first, second, modulus)
    return x.replace(data=data)


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


def multiply_integer(ciphertext: Ciphertext, factor: int) -> Ciphertext:
    """x times an integer, level and scale unchanged (the value is multiplied)."""
    moduli = ciphertext.moduli
    residues = tuple(factor % q for q in moduli)
    return ciphertext.replace(data=multiply_integers(ciphertext.data, moduli, residues))


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
    return _multiply_plain(drop_level(ciphertext, level), _plain_at(plaintext, level).data, plaintext.scale)


@functools.partial(jax.jit, static_argnames="scale")
@wide
def _multiply_plain(x: Ciphertext, values: jax.Array, scale: Scale) -> Ciphertext:
    data = modular.multiply(x.data, values[..., None, :, :], constants(x.moduli))
    return x.replace(data=data, scale=x.scale * scale)


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
    return _tensor(drop_level(x, level), drop_level(y, level))


@jax.jit
@wide
def _tensor(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    moduli = constants(x.moduli)
    x0, x1 = x.data[..., 0, :, :], x.data[..., 1, :, :]
    y0, y1 = y.data[..., 0, :, :], y.data[..., 1, :, :]
    outer = modular.multiply(x0, y1, moduli)
    cross = modular.add(outer, modular.multiply(x1, y0, moduli), moduli.value)
    parts = [modular.multiply(x0, y0, moduli), cross, modular.multiply(x1, y1, moduli)]
    return x.replace(data=jnp.stack(parts, -3), scale=x.scale * y.scale)


def square_tensor(x: Ciphertext) -> Ciphertext:
    """x^2 with three components, neither relinearised nor rescaled; 3 products where `tensor` has 4."""
    if x.components != 2:
        raise ValueError(
            f"the square of a ciphertext with {x.components} components was asked for; it needs 2. "
            f"Relinearise first."
        )
    return _square_tensor(x)


@jax.jit
@wide
def _square_tensor(x: Ciphertext) -> Ciphertext:
    parts = modular.square_pair(x.data[..., 0, :, :], x.data[..., 1, :, :], constants(x.moduli))
    return x.replace(data=jnp.stack(parts, -3), scale=x.scale * x.scale)


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
    key = _relinearisation_key(keys, ciphertext)
    return _relinearise(key, ciphertext, target)


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


@functools.partial(jax.jit, static_argnames="target")
@wide
def _relinearise(key: SwitchingKey, ciphertext: Ciphertext, target: int) -> Ciphertext:
    data = ciphertext.data.reshape(-1, *ciphertext.data.shape[-3:])

    def one(item: jax.Array) -> jax.Array:
        return relinearise_and_divide(item, key, ciphertext.level, target)

    together = math.gcd(data.shape[0], _RELINEARISED_TOGETHER)
    result = jax.lax.map(one, data, batch_size=together)
    result = result.reshape(*ciphertext.batch, *result.shape[-3:])
    return _at_level(ciphertext, result, target)


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
    return _rescale(ciphertext, target)


@functools.partial(jax.jit, static_argnames="target")
@wide
def _rescale(ciphertext: Ciphertext, target: int) -> Ciphertext:
    params = ciphertext.params
    kept = params.level_moduli(target)
    data = divide_by_moduli(ciphertext.data, params.ring, ciphertext.moduli, kept)
    return _at_level(ciphertext, data, target)


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


def linear_combinations(
    weights: jax.Array,
    ciphertext: Ciphertext,
    weight_scale: Scale,
    bound: int,
    *,
    entries: jax.Array | None = None,
    bias: jax.Array | None = None,
    square: bool = False,
) -> Ciphertext:
    """Integer combinations of the ciphertexts of a batch, exactly: no rotation, no encoding.

    Args:
        weights: int32 [group, out, k], |w| <= bound, standing for weights / weight_scale.
        ciphertext: data [entry, poly, limb, N].
        weight_scale: multiplies the scale.
        entries: int32 [group, k, position]: the entry each term takes, -1 for none.
        bias: residues [out of all, limb] of plain numbers at the scale of the result, added to it.
        square: square every entry first (two components become three, and the scale is squared).

    Returns:
        Ciphertext [group * out * position, poly, limb, N], not rescaled.

    Raises:
        ValueError: when called eagerly, a weight beyond `bound`.
    """
    if is_concrete(weights) and (np.abs(np.asarray(weights, np.int64)) > bound).any():
        raise ValueError(
            f"linear_combinations was given weights up to {np.abs(weights).max()} with a bound of "
            f"{bound}, which its exact sums rely on; raise the bound."
        )
    data = modular_matrix_product(
        weights, ciphertext.data, ciphertext.moduli, bound, entries, bias, square=square
    )
    scale = ciphertext.scale * ciphertext.scale if square else ciphertext.scale
    return ciphertext.replace(data=data.reshape(-1, *data.shape[3:]), scale=scale * weight_scale)
