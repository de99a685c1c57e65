"""Arithmetic modulo primes below 2**30 on uint32 residues.

Every function takes and returns plain residues; `wide` callers only (products are 64-bit).
Constants of a set of primes are a `Moduli`, whose arrays have shape [limb, 1], so that they
broadcast against residues [..., limb, N].
"""

import dataclasses
import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

# Constants made on the host are NumPy's until a kernel is traced with them.
Array = jax.Array | np.ndarray
Pair = tuple[Array, Array]  # constants and their Shoup quotients
_SUM_LENGTH = 15  # products of numbers below 2**30 that an unsigned 64-bit sum holds beside a residue


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moduli:
    """Constants of primes q < 2**30, each array of shape [limb, 1].

    value: q, uint32. barrett: floor(4**b / q) for the b with 2**(b-1) < q < 2**b, uint64.
    shift: b, uint64. wide_power: 2**32 mod q with its Shoup quotient, and the quotient of 1.
    """

    value: Array
    barrett: Array
    shift: Array
    wide_power: Array
    wide_power_quotient: Array
    one_quotient: Array


@functools.cache
def constants(moduli: tuple[int, ...]) -> Moduli:
    """The `Moduli` of `moduli` as NumPy arrays (constants of whatever kernel uses them)."""
    bits = [q.bit_length() for q in moduli]
    wide_power = [2**32 % q for q in moduli]

    def column(values: list[int], dtype: type) -> np.ndarray:
        return np.array(values, dtype)[:, None]

    return Moduli(
        column(list(moduli), np.uint32),
        column([4**b // q for b, q in zip(bits, moduli, strict=True)], np.uint64),
        column(bits, np.uint64),
        column(wide_power, np.uint32),
        column([quotient(w, q) for w, q in zip(wide_power, moduli, strict=True)], np.uint32),
        column([quotient(1, q) for q in moduli], np.uint32),
    )


def quotient(constant: int, modulus: int) -> int:
    """Shoup's quotient floor(constant * 2**32 / modulus) of a constant below the modulus."""
    return (constant << 32) // modulus


def fold(x: Array, modulus: Array) -> jax.Array:
    """The number x - modulus where x >= modulus, else x: halves a bound with one unsigned minimum."""
    return jnp.minimum(x, x - modulus)


def add(x: jax.Array, y: Array, modulus: Array) -> jax.Array:
    """The sum x + y mod q for x, y < q."""
    return fold(x + y, modulus)


def subtract(x: jax.Array, y: jax.Array, modulus: Array) -> jax.Array:
    """The difference x - y mod q for x, y < q."""
    return fold(x + (modulus - y), modulus)


def negate(x: jax.Array, modulus: Array) -> jax.Array:
    """The negative -x mod q for x < q."""
    return fold(modulus - x, modulus)


def _widen(x: Array | np.uint32) -> jax.Array:
    return jnp.asarray(x).astype(jnp.uint64)


def multiply_lazily(
    x: jax.Array, constant: Array | np.uint32, constant_quotient: Array, modulus: Array
) -> jax.Array:
    """The product x * constant mod q in [0, 2q), for any 32-bit x (Shoup; Harvey 2014, algorithm 2)."""
    estimate = (_widen(x) * _widen(constant_quotient) >> np.uint64(32)).astype(jnp.uint32)
    return x * constant - estimate * modulus


def multiply_constant(x: jax.Array, constant: Array, constant_quotient: Array, modulus: Array) -> jax.Array:
    """The product x * constant mod q in [0, q), for any 32-bit x."""
    return fold(multiply_lazily(x, constant, constant_quotient, modulus), modulus)


def multiply(x: jax.Array, y: Array, moduli: Moduli) -> jax.Array:
    """The product x * y mod q for x, y < q."""
    return reduce_product(_widen(x) * _widen(y), moduli)


def square_pair(first: jax.Array, second: jax.Array, moduli: Moduli) -> list[jax.Array]:
    """The components of (first + second s)^2: first^2, 2 first second, second^2, all below q."""
    cross = multiply(first, second, moduli)
    doubled = add(cross, cross, moduli.value)
    return [multiply(first, first, moduli), doubled, multiply(second, second, moduli)]


def reduce_product(product: jax.Array, moduli: Moduli) -> jax.Array:
    """The residue of a uint64 below 4**b (b as in `Moduli`) mod q, uint32 in [0, q) (Barrett 1986).

    The estimate floor(floor(t / 2**(b-1)) * mu / 2**(b+1)) is at most 2 below t / q.
    """
    shift = moduli.shift
    estimate = (product >> (shift - np.uint64(1))) * moduli.barrett >> (shift + np.uint64(1))
    remainder = product.astype(jnp.uint32) - estimate.astype(jnp.uint32) * moduli.value
    return fold(fold(remainder, moduli.value << 1), moduli.value)


def reduce_wide(total: jax.Array, moduli: Moduli) -> jax.Array:
    """The residue of any uint64 mod q, uint32 in [0, q): high * (2**32 mod q) + low, both halves by Shoup."""
    q = moduli.value
    high = (total >> np.uint64(32)).astype(jnp.uint32)
    low = total.astype(jnp.uint32)
    one = np.uint32(1)
    upper = multiply_lazily(high, moduli.wide_power, moduli.wide_power_quotient, q)
    lower = multiply_lazily(low, one, moduli.one_quotient, q)
    return fold(fold(upper + lower, q << 1), q)


def multiply_and_sum(
    terms: Iterable[tuple[Array, Array]], moduli: Moduli, total: Array | None = None
) -> jax.Array:
    """The sum of x * y mod q over terms (x, y), uint32 in [0, q), in 64 bits between reductions.

    Args:
        terms: pairs of numbers below 2**30 that broadcast against each other and [limb, 1].
        moduli: of the primes.
        total: residues to which the sum is added.
    """
    found = jnp.zeros((), jnp.uint64) if total is None else _widen(total)
    for number, (x, y) in enumerate(terms):
        if number and number % _SUM_LENGTH == 0:
            found = _widen(reduce_wide(found, moduli))
        found = found + _widen(x) * _widen(y)
    return reduce_wide(found, moduli)


def reduce_signed(values: jax.Array, moduli: Moduli) -> jax.Array:
    """The residues of an int64 array broadcast against [limb, 1], |values| < 2**63, mod q in [0, q)."""
    magnitude = reduce_wide(jnp.abs(values).astype(jnp.uint64), moduli)
    return jnp.where(values < 0, negate(magnitude, moduli.value), magnitude)
