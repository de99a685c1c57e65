"""Arithmetic on ciphertexts: pure functions over pytrees, for plain calls, jit, vmap and sharding.

Levels and scales are static. Where two operands differ the library aligns them; a scale mismatch that
no level can absorb is an error that names both.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp

from fhejax.ckks.encoding.values import exact_number
from fhejax.ckks.keys.generation import RELINEARISATION
from fhejax.ckks.keys.shared_levels import relinearised, working_level
from fhejax.ckks.keys.switching import relinearise_and_divide
from fhejax.ckks.levels import (
    align,
    check_evaluation_domain,
    check_level_left,
    check_scales,
    divided_to,
    drop_level,
    plaintext_at,
    rescale,
)
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.scalars import encode_scalar, multiply_integer
from fhejax.ckks.types import (
    Ciphertext,
    Plaintext,
    SwitchingKey,
    check_same_parameters,
    common_key_id,
)
from fhejax.ring import Twiddles, modular
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.wide import kernel, wide

Operand = Ciphertext | NoiseEstimate


def _kernel(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Compiled once for each level and shape: residues alone go in, so that no scale makes another."""
    return kernel(wide(function), static_argnames=("params", "level"))


def _check_batches(name: str, x: Operand, y: Operand | Plaintext) -> None:
    """Refuse batches that do not broadcast, as NumPy does it, against each other."""
    first, second = x.batch, y.data.shape[:-2] if isinstance(y, Plaintext) else y.batch
    pairs = zip(reversed(first), reversed(second), strict=False)
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise ValueError(
            f"{name} of batches of shape {first} and {second} was asked for; their trailing axes must "
            f"be equal or 1."
        )


def negate(ciphertext: Value) -> Value:
    """-x. Level and scale stay."""
    return _negated(ciphertext)


@operation(noise=estimates.negate)
def _negated(ciphertext: Ciphertext) -> Ciphertext:
    return ciphertext.replace(data=_negate(ciphertext.data, ciphertext.params, ciphertext.level))


@_kernel
def _negate(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    return modular.negate(data, constants(params.level_moduli(level)).value)


def add(x: Value, y: Value | Plaintext) -> Value:
    """x + y, at the lower of both levels.

    Raises:
        ValueError: other parameters or keys, or scales that cannot be aligned.
    """
    return _sum(x, y, subtract=False)


def subtract(x: Value, y: Value | Plaintext) -> Value:
    """x - y, at the lower of both levels. Errors as `add`."""
    return _sum(x, y, subtract=True)


def _sum(x: Value, y: Value | Plaintext, subtract: bool) -> Value:
    check_same_parameters(x, y)
    _check_batches("a sum", x, y)
    if isinstance(y, Plaintext):
        level = min(x.level, y.level)
        x = drop_level(x, level)
        y = _as_operand(x, plaintext_at(y, level))
    if x.domain != y.domain:
        check_evaluation_domain("a sum", x, y)
    x, y = align(x, y)
    check_scales(x.scale, y.scale)
    return _added(x, y, subtract)


@operation(noise=estimates.add)
def _added(x: Ciphertext, y: Ciphertext, subtract: bool) -> Ciphertext:
    data = _add_aligned(x.data, y.data, x.params, x.level, subtract)
    return x.replace(data=data, key_id=common_key_id(x, y))


@operation(noise=estimates.in_place_of)
def _as_operand(x: Ciphertext, y: Plaintext) -> Ciphertext:
    """A plaintext as a ciphertext with one component; as an estimate where x is one."""
    return Ciphertext(y.data[..., None, :, :], x.key_id, y.params, y.level, y.scale, y.domain)


@functools.partial(kernel, static_argnames=("params", "level", "subtract"))
@wide
def _add_aligned(
    first: jax.Array, second: jax.Array, params: Parameters, level: int, subtract: bool
) -> jax.Array:
    count = max(first.shape[-3], second.shape[-3])
    modulus = constants(params.level_moduli(level)).value
    combined = modular.subtract if subtract else modular.add
    return combined(_pad_components(first, count), _pad_components(second, count), modulus)


def _pad_components(data: jax.Array, count: int) -> jax.Array:
    missing = count - data.shape[-3]
    return jnp.pad(data, [(0, 0)] * (data.ndim - 3) + [(0, missing), (0, 0), (0, 0)])


def multiply_scalar(ciphertext: Value, value: float | Fraction) -> Value:
    """x times a real number, rescaled to the level below, at that level's own scale.

    The number is rounded to a multiple of 1 / w, w = q s' / s: q are the primes that the rescale drops, s and
    s' the scales before and after it.

    Raises:
        TypeError: a number that is not real, or traced by JAX.
        ValueError: a number that is not finite, does not fit the modulus, or rounds to zero without being it;
            or no level left.
    """
    number = exact_number(value, "multiply_scalar")
    check_level_left(ciphertext, "multiply_scalar")
    weight = _plain_scale(ciphertext)
    factor = encode_scalar(number, weight, ciphertext.moduli, "multiply_scalar")
    return rescale(multiply_integer(ciphertext, factor).replace(scale=ciphertext.scale * weight))


def _plain_scale(ciphertext: Operand) -> Scale:
    """The scale a plain factor needs so that the rescaled product has the lower level's own scale."""
    params, level = ciphertext.params, ciphertext.level
    return params.scales[level - 1] * params.rescale_factor(level, level - 1) / ciphertext.scale


def multiply_plain(ciphertext: Value, plaintext: Plaintext) -> Value:
    """x times an encoded vector, without rescaling: the scales multiply.

    Raises:
        ValueError: other parameters, batches that do not broadcast, or operands in the coefficient domain.
    """
    check_same_parameters(ciphertext, plaintext)
    check_evaluation_domain("a product", ciphertext, plaintext)
    _check_batches("a product", ciphertext, plaintext)
    level = min(ciphertext.level, plaintext.level)
    return _times_plain(drop_level(ciphertext, level), plaintext_at(plaintext, level))


@operation(noise=estimates.multiply_plain)
def _times_plain(x: Ciphertext, plaintext: Plaintext) -> Ciphertext:
    data = _multiply_plain(x.data, plaintext.data, x.params, x.level)
    return x.replace(data=data, scale=x.scale * plaintext.scale)


@_kernel
def _multiply_plain(data: jax.Array, values: jax.Array, params: Parameters, level: int) -> jax.Array:
    return modular.multiply(data, values[..., None, :, :], constants(params.level_moduli(level)))


def tensor(x: Value, y: Value) -> Value:
    """x y with three components, neither relinearised nor rescaled: the scales multiply.

    Raises:
        ValueError: operands that already have three components, or are in the coefficient domain; other
            parameters or keys, or batches that do not broadcast.
    """
    _check_factors(x, y)
    level = min(x.level, y.level)
    return _times(drop_level(x, level), drop_level(y, level))


def _check_factors(x: Operand, y: Operand) -> None:
    """Refuse what makes no product of three components."""
    check_same_parameters(x, y)
    check_evaluation_domain("a product", x, y)
    _check_batches("a product", x, y)
    if x.components != 2 or y.components != 2:
        raise ValueError(
            f"a product of ciphertexts with {x.components} and {y.components} components was asked "
            f"for; both need 2. Relinearise first."
        )


@operation(noise=estimates.tensor)
def _times(x: Ciphertext, y: Ciphertext) -> Ciphertext:
    data = _tensor(x.data, y.data, x.params, x.level)
    return x.replace(data=data, key_id=common_key_id(x, y), scale=x.scale * y.scale)


@_kernel
def _tensor(x: jax.Array, y: jax.Array, params: Parameters, level: int) -> jax.Array:
    moduli = constants(params.level_moduli(level))
    x0, x1 = x[..., 0, :, :], x[..., 1, :, :]
    y0, y1 = y[..., 0, :, :], y[..., 1, :, :]
    outer = modular.multiply(x0, y1, moduli)
    cross = modular.add(outer, modular.multiply(x1, y0, moduli), moduli.value)
    parts = [modular.multiply(x0, y0, moduli), cross, modular.multiply(x1, y1, moduli)]
    return jnp.stack(parts, -3)


def square_tensor(x: Value) -> Value:
    """x^2 with three components, neither relinearised nor rescaled; 3 products where `tensor` has 4."""
    _check_squared(x)
    return _squared(x)


def _check_squared(x: Operand) -> None:
    """Refuse what makes no square of three components."""
    if x.components != 2:
        raise ValueError(
            f"the square of a ciphertext with {x.components} components was asked for; it needs 2. "
            f"Relinearise first."
        )
    check_evaluation_domain("a product", x)


@operation(noise=estimates.square_tensor)
def _squared(x: Ciphertext) -> Ciphertext:
    return x.replace(data=_square_tensor(x.data, x.params, x.level), scale=x.scale * x.scale)


@_kernel
def _square_tensor(data: jax.Array, params: Parameters, level: int) -> jax.Array:
    moduli = constants(params.level_moduli(level))
    return jnp.stack(modular.square_pair(data[..., 0, :, :], data[..., 1, :, :], moduli), -3)


def relinearise(keys: Keys, ciphertext: Value, *, target_level: int | None = None) -> Value:
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
    if not 0 <= target <= level:
        raise ValueError(
            f"a relinearisation from level {level} to {target} was asked for; it only goes down."
        )
    if ciphertext.components == 2:
        return ciphertext if target == level else rescale(ciphertext, target)
    check_evaluation_domain("a relinearisation", ciphertext)
    return _relinearised(keys, ciphertext, target)


@operation(noise=estimates.relinearise, keys=lambda ciphertext, target: (RELINEARISATION,))
def _relinearised(keys: Found, ciphertext: Ciphertext, target: int) -> Ciphertext:
    params, level, key = ciphertext.params, ciphertext.level, keys[RELINEARISATION]
    shared = working_level(params, level, ciphertext.data, [key], target)
    if shared is None:
        data = _relinearise(key, ciphertext.data, twiddles_of(params), level, target)
    else:
        data = relinearised(key, ciphertext.data, params, level, shared, target)
    return divided_to(ciphertext, data, target)


@functools.partial(kernel, static_argnames=("level", "target"))
@wide
def _relinearise(
    key: SwitchingKey, data: jax.Array, twiddles: Twiddles, level: int, target: int
) -> jax.Array:
    count = math.prod(data.shape[:-3])
    together = _switched_together(count, math.prod(key.data.shape))
    parts = -(-count // together)
    rows = data.reshape(count, *data.shape[-3:])
    if parts * together > count:
        rows = jnp.pad(rows, [(0, parts * together - count), (0, 0), (0, 0), (0, 0)])
    blocks = rows.reshape(parts, together, *data.shape[-3:])

    def one(block: jax.Array) -> jax.Array:
        return relinearise_and_divide(block, twiddles, key, level, target)

    result = one(blocks[0]) if blocks.shape[0] == 1 else jax.lax.map(one, blocks)
    return result.reshape(-1, *result.shape[-3:])[:count].reshape(*data.shape[:-3], *result.shape[-3:])


def _switched_together(count: int, numbers: int) -> int:
    """The key switches of one turn of the loop over a batch, of about so many numbers each.

    On a CPU as many as its caches hold, without a remainder; elsewhere each turn is dozens of launches, and
    turns are as few and equal as memory allows.
    """
    device = current_device()
    blocks = device.blocks
    if not device.launches_slowly:
        return math.gcd(count, blocks.relinearised)
    most = max(1, min(blocks.relinearised, blocks.matrix_room // numbers))
    return max(1, -(-count // max(1, -(-count // most))))


def multiply(keys: Keys, x: Value, y: Value) -> Value:
    """x y, relinearised and rescaled: one level down, at that level's own scale.

    Raises:
        ValueError: no level left, no relinearisation key, other parameters or keys.
    """
    x, y = align(x, y)
    check_level_left(x, "multiply")
    if current_device().launches_slowly:
        _check_factors(x, y)
        return _product(keys, x, y, x.level - 1)
    return relinearise(keys, tensor(x, y), target_level=x.level - 1)


def square(keys: Keys, x: Value) -> Value:
    """x^2, relinearised and rescaled: one level down, at that level's own scale."""
    check_level_left(x, "square")
    if current_device().launches_slowly:
        _check_squared(x)
        return _square(keys, x, x.level - 1)
    return relinearise(keys, square_tensor(x), target_level=x.level - 1)


def _noise_of_product(x: NoiseEstimate, y: Any, target: int) -> NoiseEstimate:
    return estimates.relinearise(estimates.tensor(x, y), target)


def _noise_of_square(x: NoiseEstimate, target: int) -> NoiseEstimate:
    return estimates.relinearise(estimates.square_tensor(x), target)


@operation(noise=_noise_of_product, keys=lambda x, y, target: (RELINEARISATION,))
def _product(keys: Found, x: Ciphertext, y: Ciphertext, target: int) -> Ciphertext:
    """Product, relinearisation and rescale in one executable."""
    key, tables = keys[RELINEARISATION], twiddles_of(x.params)
    data = _multiply(key, x.data, y.data, tables, x.level, target)
    whole = x.replace(key_id=common_key_id(x, y), scale=x.scale * y.scale)
    return divided_to(whole, data, target)


@operation(noise=_noise_of_square, keys=lambda x, target: (RELINEARISATION,))
def _square(keys: Found, x: Ciphertext, target: int) -> Ciphertext:
    """Square, relinearisation and rescale in one executable."""
    data = _multiply(keys[RELINEARISATION], x.data, None, twiddles_of(x.params), x.level, target)
    return divided_to(x.replace(scale=x.scale * x.scale), data, target)


@functools.partial(kernel, static_argnames=("level", "target"))
@wide
def _multiply(
    key: SwitchingKey, x: jax.Array, y: jax.Array | None, twiddles: Twiddles, level: int, target: int
) -> jax.Array:
    """The relinearised product, or without y the square."""
    params = key.params
    parts = _square_tensor(x, params, level) if y is None else _tensor(x, y, params, level)
    return _relinearise(key, materialise(parts), twiddles, level, target)
