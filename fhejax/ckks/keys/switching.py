"""Hybrid key switching (Han and Ki, "Better bootstrapping for approximate homomorphic encryption", 2020).

A component that multiplies s^2 or another secret is cut into digits of a few primes each, every digit is
raised exactly to all primes of Q and P, multiplied with the key, and the sum divided by P. Modulo the
primes of one digit all the others are transformed together, so that twiddles are read once. Added
coefficient variance: M V_e sum of Q_j^2 / (12 P^2), plus the rounding floor (1 + M V_s) / 12, with M the
ambient degree.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from fhejax.ckks.keys.generation import digit_ranges, key_digits
from fhejax.ckks.parameters.parameters import Parameters, twiddles_of
from fhejax.ckks.types import SwitchingKey, static
from fhejax.ring import (
    Twiddles,
    convert_basis,
    divide_by_moduli,
    inverse_ntt,
    modular,
    multiply_integers,
    ntt,
)
from fhejax.ring.modular import constants

# Of coefficients, the primes that they are known by and those that are asked for.
Conversion = Callable[[jax.Array, tuple[int, ...], tuple[int, ...]], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Decomposition:
    """The digits of a polynomial, raised to Q_level P: what hoisted rotations share.

    Attributes, all in the evaluation domain:
        own: uint32 [..., limb of Q_level, N], the polynomial, which holds each digit modulo its own primes.
        others: uint32 [..., digit but one, limb of Q_level, N]: modulo each prime the digits that it does not
            belong to, in their order.
        special: uint32 [..., digit, limb of P, N].
    """

    own: jax.Array
    others: jax.Array
    special: jax.Array
    params: Parameters = static()
    level: int = static()

    def digit(self, number: int, block: int) -> jax.Array:
        """Digit `number` modulo the primes of a block: uint32 [..., limb, N]."""
        ranges = digit_ranges(self.params, self.level)
        if block == len(ranges):
            return self.special[..., number, :, :]
        limbs = slice(*ranges[block])
        if number == block:
            return self.own[..., limbs, :]
        return self.others[..., number - (number > block), limbs, :]


def extended_moduli(params: Parameters, level: int) -> tuple[int, ...]:
    """The primes of Q_level, then those of P."""
    return params.level_moduli(level) + params.special


def prime_ranges(params: Parameters, level: int) -> list[tuple[int, int]]:
    """The ranges of Q_level P that hold the primes of each digit, and those of P."""
    limbs = len(params.level_moduli(level))
    return [*digit_ranges(params, level), (limbs, limbs + len(params.special))]


def decompose(
    x: jax.Array, twiddles: Twiddles, params: Parameters, level: int, convert: Conversion = convert_basis
) -> Decomposition:
    """ModUp: every digit of x, uint32 [..., limb, N] in the evaluation domain, in the basis Q_level P."""
    moduli, special, digits = params.level_moduli(level), params.special, digit_ranges(params, level)
    coefficients = inverse_ntt(x, twiddles, moduli)
    raised = []
    for start, stop in digits:
        target = moduli[:start] + moduli[stop:] + special
        raised.append(convert(coefficients[..., start:stop, :], moduli[start:stop], target))
    beyond = jnp.stack([part[..., part.shape[-2] - len(special) :, :] for part in raised], -3)
    rows = [_row(raised, digits, number) for number in range(len(digits) - 1)]
    others = ntt(jnp.stack(rows, -3), twiddles, moduli) if rows else x[..., None, :, :][..., :0, :, :]
    return Decomposition(x, others, ntt(beyond, twiddles, special), params, level)


def _row(raised: Sequence[jax.Array], digits: Sequence[tuple[int, int]], number: int) -> jax.Array:
    """Modulo the primes of each digit: digit `number` of those that they do not belong to."""
    parts = []
    for block, (start, stop) in enumerate(digits):
        source = number + (number >= block)
        low, high = digits[source]
        shift = high - low if low < start else 0  # where its own primes are missing
        parts.append(raised[source][..., start - shift : stop - shift, :])
    return jnp.concatenate(parts, -2)


def inner_product(digits: Decomposition, key: SwitchingKey) -> jax.Array:
    """sum over digits of digit * (body, mask): uint32 [..., 2, limb of Q_level then P, N]."""
    count = len(prime_ranges(digits.params, digits.level))
    return jnp.concatenate([_block(digits, key, block) for block in range(count)], -2)


def _block(digits: Decomposition, key: SwitchingKey, block: int) -> jax.Array:
    """The inner product modulo the primes of one block of Q_level P."""
    params, level = digits.params, digits.level
    start, stop = prime_ranges(params, level)[block]
    moduli = constants(extended_moduli(params, level)[start:stop])
    row = _key_row(params, level, key.level, start)
    first = key_digits(params, key.level).index(_digit_of_key(params, level, key.level))
    terms = (
        (
            digits.digit(number, block)[..., None, :, :],
            key.data[first + number, :, row : row + stop - start],
        )
        for number in range(len(digit_ranges(params, level)))
    )
    return modular.multiply_and_sum(terms, moduli)


def _key_row(params: Parameters, level: int, key_level: int, position: int) -> int:
    """Where a key of `key_level` holds the prime at `position` of Q_level P."""
    (first, last), (low, high) = params.limb_range(level), params.key_range(key_level)
    return position + first - low if position < last - first else position - (last - first) + high - low


def _digit_of_key(params: Parameters, level: int, key_level: int) -> tuple[int, int]:
    """The digit of the key in which the first prime of the level lies."""
    first, _ = params.limb_range(level)
    return next(d for d in key_digits(params, key_level) if d[0] <= first < d[1])


def switch_key(x: jax.Array, twiddles: Twiddles, key: SwitchingKey, level: int) -> jax.Array:
    """x times the key's source secret, under its target, still times P.

    uint32 [..., limb, N] to [..., 2, limb of Q then P, N], evaluation domain.
    """
    return inner_product(decompose(x, twiddles, key.params, level), key)


def divide_by_special(
    x: jax.Array, params: Parameters, level: int, target_level: int, twiddles: Twiddles | None = None
) -> jax.Array:
    """ModDown and rescale at once: uint32 [..., limb of Q_level then P, N] to [..., limb of Q_target, N].

    twiddles: needed in a kernel, as one of its arguments.
    """
    source = extended_moduli(params, level)
    twiddles = twiddles_of(params) if twiddles is None else twiddles
    return divide_by_moduli(x, twiddles, source, params.level_moduli(target_level))


def add_lifted(switched: jax.Array, x: jax.Array, params: Parameters, level: int) -> jax.Array:
    """switched + P x: uint32 [..., limb of Q then P, N] and [..., limb of Q, N] (P x is 0 modulo P)."""
    moduli = params.level_moduli(level)
    special = math.prod(params.special)
    lifted = multiply_integers(x, moduli, tuple(special % q for q in moduli))
    total = modular.add(switched[..., : len(moduli), :], lifted, constants(moduli).value)
    return jnp.concatenate([total, switched[..., len(moduli) :, :]], -2)


def relinearise_and_divide(
    data: jax.Array, twiddles: Twiddles, key: SwitchingKey, level: int, target_level: int
) -> jax.Array:
    """Three components to two, divided by the primes between two levels, in one ModDown.

    With P c_0 + k_0 and P c_1 + k_1 summed before, dividing by P and by the dropped primes at once
    saves a transform and one rounding.
    """
    switched = switch_key(data[..., 2, :, :], twiddles, key, level)
    total = add_lifted(switched, data[..., :2, :, :], key.params, level)
    return divide_by_special(total, key.params, level, target_level, twiddles)
