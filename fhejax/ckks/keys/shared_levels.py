"""Key switches and divisions by kernels that several levels share.

XLA compiles a kernel anew for each number of limbs, which takes seconds, and a deep program is at another
level in every step. So levels that lie close together work modulo the primes of the highest of them, the
shared level. What they compute with is raised to it by zeros; what is found modulo primes above the true
level means nothing, and is left away in the end. The constants that the true level decides, those of its last
digit and of the primes that a division drops, reach the kernels as arrays. Modulo each prime of the true
level this is the arithmetic that there is without sharing: it gives the same bits.
"""

import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ckks.keys import switching
from fhejax.ckks.keys.switching import Decomposition, extended_moduli
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import SwitchingKey, is_concrete
from fhejax.ring import Twiddles, convert_basis, modular, ntt
from fhejax.ring.basis_conversion import converted_by
from fhejax.ring.compile_ahead import is_compiling_ahead
from fhejax.ring.conversion import conversion
from fhejax.ring.materialise import materialise
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device
from fhejax.ring.transform import inverse_ntt_by
from fhejax.ring.wide import kernel, wide

_PIECES = 4  # of a digit, at whose ends levels are shared: of 14 primes, 4, 7, 11 and 14


class ConversionArrays(NamedTuple):
    """The constants of a conversion between bases as arguments of a kernel.

    inverses: uint32 [3, source], as of `ring/conversion`. weights: uint32 [target, source and one more].
    """

    inverses: np.ndarray
    weights: np.ndarray


def shared_level(params: Parameters, level: int) -> int:
    """The level at whose primes kernels work for this one, in rings in which levels share kernels.

    It is the highest whose primes end in the same quarter of the same digit and begin with the same prime.
    Keys that are to serve it have to be of that level.
    """
    first, last = params.limb_range(level)
    size = params.digit_size
    start = (last - 1) // size * size
    ends = (start + -(-size * piece // _PIECES) for piece in range(1, _PIECES + 1))
    end = next(end for end in ends if end >= last)
    ranges = ((higher, params.limb_range(higher)) for higher in range(level + 1, params.depth + 1))
    higher = (found for found, (low, high) in ranges if low == first and last <= high <= end)
    return max(higher, default=level)


def key_level(params: Parameters, level: int) -> int:
    """The level of keys that a key switch at `level` is served best by: the same on every machine."""
    return shared_level(params, level) if _is_large(params) else level


def working_level(
    params: Parameters,
    level: int,
    data: jax.Array,
    keys: Iterable[SwitchingKey] = (),
    target: int | None = None,
) -> int | None:
    """The level at whose primes the shared kernels of an operation on `data` work, or None without them.

    There are none in small rings, where launching is slow, for arrays on several devices, within a function
    that is being traced, whose kernels are not called one by one, and for a division to a level `target` that
    does more than drop primes from the end. With keys of too low a level for the shared one it is `level`
    itself.
    """
    if not _is_large(params) or current_device().launches_slowly:
        return None
    if target is not None and not _only_drops(params, level, target):
        return None
    if not is_compiling_ahead() and not (is_concrete(data) and len(data.devices()) == 1):
        return None
    found = shared_level(params, level)
    return found if all(key.level >= found for key in keys) else level


def _is_large(params: Parameters) -> bool:
    return params.ring.degree >= current_device().blocks.levels_shared_from


def raised(data: jax.Array, params: Parameters, shared: int) -> jax.Array:
    """The residues [..., limb, N] of a level with zeros for the primes that the shared level has beside."""
    limbs = len(params.level_moduli(shared))
    return data if data.shape[-2] == limbs else _padded(data, limbs)


@functools.partial(kernel, static_argnames="limbs")
def _padded(data: jax.Array, limbs: int) -> jax.Array:
    return jnp.pad(data, [(0, 0)] * (data.ndim - 2) + [(0, limbs - data.shape[-2]), (0, 0)])


def decompose(x: jax.Array, params: Parameters, level: int, shared: int) -> Decomposition:
    """The digits of a polynomial of `level`, raised to the primes of the shared one.

    Args:
        x: uint32 [..., limb of the shared level, N], evaluation domain, zeros above the true level.
        params: of the polynomial.
        level: decides what primes the last digit has.
        shared: a level as of `shared_level`.
    """
    return _decompose(x, _last_digit(params, level, shared), twiddles_of(params), params, shared)


@functools.cache
def _last_digit(params: Parameters, level: int, shared: int) -> ConversionArrays:
    """The constants by which the last digit of a level is raised to all other primes of the shared one."""
    start, end = params.digit_ranges(shared)[-1]
    _, last = params.limb_range(level)
    digit = params.moduli[start:end]
    target = tuple(q for q in extended_moduli(params, shared) if q not in digit)
    return _arrays(params.moduli[start:last], target, after=end - last)


def _arrays(
    source: tuple[int, ...], target: tuple[int, ...], before: int = 0, after: int = 0
) -> ConversionArrays:
    """The constants of a conversion, with zeros for limbs before and after those that are part of it."""
    exact, beside = conversion(source, target), [(0, 0), (before, after)]
    values, moduli = np.pad(exact.inverses[:2], beside), np.pad(exact.inverses[2:], beside, constant_values=1)
    weights, product = np.pad(exact.weights[:, :-1], beside), exact.weights[:, -1:]
    return ConversionArrays(np.concatenate([values, moduli]), np.concatenate([weights, product], 1))


def _converted(x: jax.Array, by: ConversionArrays, target: tuple[int, ...]) -> jax.Array:
    """`convert_basis` with constants that are arrays."""
    inverses, weights = (jnp.asarray(array) for array in by)
    reciprocals = 1.0 / inverses[2].astype(jnp.float64)
    return converted_by(x, inverses, reciprocals, weights, constants(target))


@functools.partial(kernel, static_argnames=("params", "level"))
@wide
def _decompose(
    x: jax.Array, by: ConversionArrays, twiddles: Twiddles, params: Parameters, level: int
) -> Decomposition:
    *_, (_, last) = ranges = switching.digit_ranges(params, level)

    def convert(digit: jax.Array, source: tuple[int, ...], target: tuple[int, ...]) -> jax.Array:
        """A digit raised to other primes: the last one by the constants that are arguments."""
        if source == params.level_moduli(level)[ranges[-1][0] : last]:
            return _converted(digit, by, target)
        return convert_basis(digit, source, target)

    return switching.decompose(x, twiddles, params, level, convert)


@functools.partial(kernel, static_argnames="components")
@wide
def switched(key: SwitchingKey, digits: Decomposition, data: jax.Array, components: int) -> jax.Array:
    """Digits times a key, and P times the first component of a ciphertext, or the first two, added.

    Args:
        key: of a level that has the primes of the digits.
        digits: with the primes of a shared level.
        data: uint32 [..., 2 or 3, limb of the shared level, N].
        components: how many are added.

    Returns:
        uint32 [..., 2, limb of Q then P, N], still times P.
    """
    product = switching.inner_product(digits, key)
    parts = product[..., :components, :, :], data[..., :components, :, :]
    total = switching.add_lifted(*parts, digits.params, digits.level)
    return jnp.concatenate([total, product[..., components:, :, :]], -3)


def relinearised(
    key: SwitchingKey, data: jax.Array, params: Parameters, level: int, shared: int, target: int
) -> jax.Array:
    """Three components [..., 3, limb, N] to two at level `target`, one ciphertext after the other."""
    rows = data.reshape(-1, *data.shape[-3:])
    results = []
    for number in range(len(rows)):
        row = rows if len(rows) == 1 else _row(rows, np.int32(number))
        whole = raised(row, params, shared)
        digits = decompose(whole[..., 2, :, :], params, level, shared)
        total = switched(key, digits, whole, 2)
        results.append(divided(total, params, level, shared, target))
    result = results[0] if len(results) == 1 else jnp.concatenate(results)
    return result.reshape(*data.shape[:-3], *result.shape[-3:])


@kernel
def _row(rows: jax.Array, number: np.int32) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(rows, number, 1)


def _only_drops(params: Parameters, level: int, target: int) -> bool:
    """Whether a division from one level to another only drops primes from the end."""
    (first, last), (start, stop) = params.limb_range(level), params.limb_range(target)
    return first == start and stop <= last


def divided(x: jax.Array, params: Parameters, level: int, shared: int, target: int) -> jax.Array:
    """Both components divided by the primes between two levels, and by P where it has those.

    Args:
        x: uint32 [..., 2, limb of the shared level, or those and the primes of P, N].
        params: of the ciphertext.
        level: the true one.
        shared: a level as of `shared_level`.
        target: of the result, [..., 2, limb of Q_target, N].
    """
    parts = [divided_component(x, number, params, level, shared, target) for number in range(x.shape[-3])]
    return _joined(parts, len(params.level_moduli(target)))


@functools.partial(kernel, static_argnames="limbs")
def _joined(parts: list[jax.Array], limbs: int) -> jax.Array:
    """The components [..., limb, N] with so many limbs, in one array."""
    return jnp.stack([part[..., :limbs, :] for part in parts], -3)


def divided_component(
    x: jax.Array, component: int, params: Parameters, level: int, shared: int, target: int
) -> jax.Array:
    """One component divided as by `divided`, still with the limbs of the shared level."""
    limbs, stop = len(params.level_moduli(level)), len(params.level_moduli(target))
    dropped = max(limbs - stop, 1)
    divides_special = x.shape[-2] > len(params.level_moduli(shared))
    by, factors = _division(params, level, shared, target, divides_special)
    places = np.int32(component), np.int32(min(stop, limbs - dropped))
    return _divide_component(x, *places, by, factors, twiddles_of(params), params, shared, dropped)


@functools.cache
def _division(
    params: Parameters, level: int, shared: int, target: int, divides_special: bool
) -> tuple[ConversionArrays, np.ndarray]:
    """The constants of a division, modulo all primes of the shared level, with zeros where none are kept.

    Primes that are dropped are among the targets of the conversion, which is of no use and does no harm.
    Where P alone is divided by, the conversion still has one prime of the level, which counts for nothing, so
    that one kernel serves with a rescale and without.
    """
    moduli, kept = params.level_moduli(shared), params.level_moduli(target)
    dropped = params.level_moduli(level)[len(kept) :] + params.special * divides_special
    divisor = math.prod(dropped)
    inverses = [pow(divisor, -1, q) for q in kept]
    quotients = [modular.quotient(y, q) for y, q in zip(inverses, kept, strict=True)]
    factors = np.array([inverses, quotients], np.uint32)
    beside = [(0, 0), (0, len(moduli) - len(kept))]
    return _arrays(dropped, moduli, target == level), np.pad(factors, beside)


@functools.partial(kernel, static_argnames=("params", "level", "dropped"))
@wide
def _divide_component(
    x: jax.Array,
    component: np.int32,
    start: np.int32,
    by: ConversionArrays,
    factors: np.ndarray,
    twiddles: Twiddles,
    params: Parameters,
    level: int,
    dropped: int,
) -> jax.Array:
    """(x - [x]_D) / D, with D the product of `dropped` primes from limb `start` on, and of P.

    factors: 1/D modulo each prime of the level, and its Shoup quotients, uint32 [2, limb].
    """
    moduli = params.level_moduli(level)
    x = jax.lax.dynamic_index_in_dim(x, component, x.ndim - 3, keepdims=False)
    head, special = x[..., : len(moduli), :], x[..., len(moduli) :, :]
    tail = jnp.concatenate([jax.lax.dynamic_slice_in_dim(head, start, dropped, x.ndim - 2), special], -2)
    tables = twiddles.run(twiddles.moduli.index(moduli[0]) + start, dropped, params.special)
    coefficients = inverse_ntt_by(tail, twiddles, jax.tree.map(lambda t: t[: tail.shape[-2]], tables))
    remainder = ntt(materialise(_converted(coefficients, by, moduli)), twiddles, moduli)
    modulus = constants(moduli).value
    value, quotient = (jnp.asarray(row)[:, None] for row in jnp.asarray(factors))
    return modular.multiply_constant(modular.subtract(head, remainder, modulus), value, quotient, modulus)
