"""The methods of the exact modular matrix product: float64, or bytes, on matrix units made for neither.

A method makes numbers of residues that a matrix unit takes, and residues of what it sums up, exactly, because
every partial sum is bounded. Both work on [..., column] with the constants of one limb, and on [..., limb,
column] with those of all.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular

_EXACT_BITS = 53  # integers of this many bits are exact in float64
_SLACK = 64  # moduli or their halves: what rounded quotients may add to centred residues and to sums
_DIGIT_BITS = 8
_WORD_DIGITS = 4  # of a residue
LONGEST_SUM = 2**17  # of products of bytes, each at most 2**14, in int32: what has fewer terms is exact
Operand = Callable[[jax.Array, modular.Moduli, bool], jax.Array]
Product = Callable[[modular.Array, jax.Array, modular.Moduli, int], jax.Array]


def weight_digits(bound: int, length: int, method: str) -> tuple[int, int]:
    """The pair (digits, bits a digit) into which weights |w| <= bound are cut for exact sums of `length`.

    float64: residues, up to 2**29 and a little once centred, times weights, summed `length` times, stay below
    2**53 less a few moduli; or weights are cut into digits of at most b bits, and sums stay below 2**52.
    int8: balanced base-256 digits on both sides, summed in int32.
    """
    if method == "int8":
        count = 1
        while bound > 127 * (256**count - 1) // 255:
            count += 1
        return count, _DIGIT_BITS
    room = _EXACT_BITS - 1 - 30 - max(length - 1, 1).bit_length()
    whole = bound * length < 2 ** (_EXACT_BITS - 29) - _SLACK
    return (1 if whole else -(-bound.bit_length() // (room - 1))), room - 1


def sums_a_result(bound: int, length: int, method: str) -> int:
    """The sums that a matrix unit writes for one residue of the result, of one digit of each side."""
    count, _ = weight_digits(bound, length, method)
    return count * _WORD_DIGITS if method == "int8" else count


def _balanced_digits(values: modular.Array, count: int, bits: int) -> list[jax.Array]:
    """Digits in [-2**(bits-1), 2**(bits-1)), low first: values = sum of digit_d 2**(bits d)."""
    digits, rest = [], jnp.asarray(values).astype(jnp.int64)
    for _ in range(count - 1):
        low = (rest + 2 ** (bits - 1) & 2**bits - 1) - 2 ** (bits - 1)
        digits.append(low)
        rest = rest - low >> bits
    return [*digits, rest]


def _horner(parts: list[jax.Array], bits: int, moduli: modular.Moduli) -> jax.Array:
    """The sum of parts[d] * 2**(bits d) mod q for residues `parts`, low first."""
    result = parts[-1]
    for part in reversed(parts[:-1]):
        shifted = modular.reduce_wide(result.astype(jnp.uint64) << np.uint64(bits), moduli)
        result = modular.add(shifted, part, moduli.value)
    return result


def _float_operand(x: jax.Array, moduli: modular.Moduli, square: bool) -> jax.Array:
    """Residues in float64, [entry, poly, ...]; squared first if asked for, and then centred.

    A product of residues is a b - round(a b / q) q: the quotient from float64 (off by 2**-22 of one at
    most), the remainder from the low 32 bits alone, since it is below 2**30 in magnitude.
    """
    if not square:
        return x.astype(jnp.float64)
    q = moduli.value
    inverse = 1.0 / q.astype(jnp.float64)

    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        quotient = jnp.round(a.astype(jnp.float64) * b.astype(jnp.float64) * inverse)
        remainder = a * b - quotient.astype(jnp.int32).astype(jnp.uint32) * q
        return remainder.astype(jnp.int32).astype(jnp.float64)

    first, second = x[:, 0], x[:, 1]
    doubled = modular.add(second, second, q)
    parts = [multiply(first, first), multiply(first, doubled), multiply(second, second)]
    return jnp.stack(parts, 1)


def _centred(x: jax.Array, moduli: modular.Moduli) -> jax.Array:
    """The same residues in float64 between -q/2 and q/2, and a little beyond."""
    q = moduli.value.astype(jnp.float64)
    return x - jnp.round(x * (1.0 / q)) * q


def _contract(weights: modular.Array, operand: jax.Array, dtype: Any) -> jax.Array:
    """The sum over k of weights[g, o, k] operand[g, k, p, ...]: [g, o, p, ...].

    Not einsum, whose recorded result type jax.vmap would read outside the 64-bit scope.
    """
    numbers = (((2,), (1,)), ((0,), (0,)))
    return jax.lax.dot_general(weights, operand, numbers, preferred_element_type=dtype)


def _float_product(
    weights: modular.Array, operand: jax.Array, moduli: modular.Moduli, bound: int
) -> jax.Array:
    """The product of digits of the weights and residues in float64, centred only where sums need it."""
    length = weights.shape[-1]
    count, bits = weight_digits(bound, length, "float64")
    if count == 1 and bound * length >= 2 ** (_EXACT_BITS - 30) - _SLACK:
        operand = _centred(operand, moduli)
    parts = [
        _float_remainder(_contract(digit.astype(jnp.float64), operand, None), moduli.value)
        for digit in _balanced_digits(weights, count, bits)
    ]
    return _horner(parts, bits, moduli)


def _float_remainder(x: jax.Array, q: modular.Array) -> jax.Array:
    """The residue x mod q in [0, q) as uint32, for integers |x| < 2**53.

    The floored quotient is off by one at most, and quotient times q stays below 2**53, hence exact.
    Branch-free: a select here halves the speed on a CPU.
    """
    wide_q = q.astype(jnp.float64)
    remainder = (x - wide_q * jnp.floor(x * (1.0 / wide_q))).astype(jnp.int32)
    return modular.fold(modular.fold(remainder.astype(jnp.uint32) + q, q << 1), q)


def _byte_operand(x: jax.Array, moduli: modular.Moduli, square: bool) -> jax.Array:
    """The four balanced base-256 digits of residues below 2**30, in the bytes of a word, low first.

    Balanced digits are d - 128 for the digits d of x + 128 (1 + 256 + 256^2), but for the highest, which is
    that sum's own, and at most 64: and d - 128 as int8 has the bits of d with the highest one turned.
    """
    residues = jnp.stack(modular.square_pair(x[:, 0], x[:, 1], moduli), 1) if square else x
    middle = np.uint32(0x808080)
    return residues + middle ^ middle


def _byte_product(weights: modular.Array, words: jax.Array, moduli: modular.Moduli, bound: int) -> jax.Array:
    """The product by bytes of both sides, for all of their digits in one, summed in int32.

    A digit is between -128 and 127, so that a sum of fewer than 2**17 products, each at most 2**14, is below
    2**31. Of a sum of residues below 2**30 the magnitude is at most bound * length * 2**30: below 2**32 *
    2**30 = 2**62, int64 holds it, whatever its parts, added modulo 2**64, are on the way. A longer one is
    reduced for each digit of the weights: four sums below 2**31, shifted by 24 bits at most, are below 2**56.
    """
    groups, outputs, length = weights.shape
    if length >= LONGEST_SUM:
        raise ValueError(
            f"a sum of {length} products was asked for by bytes, whose 32-bit sums are exact for fewer than "
            f"{LONGEST_SUM} terms; ask for the method float64."
        )
    count, bits = weight_digits(bound, length, "int8")
    digits = [digit.astype(jnp.int8) for digit in _balanced_digits(weights, count, bits)]
    rows = jnp.stack(digits, 1).reshape(groups, count * outputs, length)
    sums = _contract(rows, jax.lax.bitcast_convert_type(words, jnp.int8), jnp.int32)
    sums = sums.reshape(groups, count, outputs, *sums.shape[2:])
    places = [sums[..., place].astype(jnp.int64) << bits * place for place in range(_WORD_DIGITS)]
    totals = [sum(places[1:], places[0])[:, digit] for digit in range(count)]
    if bound * length >= 2**32:
        return _horner([modular.reduce_signed(total, moduli) for total in totals], bits, moduli)
    shifted = [total << bits * digit for digit, total in enumerate(totals)]
    return modular.reduce_signed(sum(shifted[1:], shifted[0]), moduli)


METHODS: Mapping[str, tuple[Operand, Product]] = MappingProxyType(
    {"float64": (_float_operand, _float_product), "int8": (_byte_operand, _byte_product)}
)
