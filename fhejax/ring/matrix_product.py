"""Exact product of a small integer matrix with residues: the throughput kernel.

With one sample in each slot, a linear layer with plain weights is an integer matrix product of
residues, limb by limb: no transform, no rotation, no encoding. Tiles of columns pass through a
floating-point (or int8) matrix unit whose result is exact because every partial sum is bounded.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device, device_like
from fhejax.ring.sums_of_squares import MOST_TERMS, sums_of_squares
from fhejax.ring.wide import kernel, wide

_EXACT_BITS = 53  # integers of this many bits are exact in float64
_SLACK = 64  # moduli or their halves: what rounded quotients may add to centred residues and to sums
_DIGIT_BITS = 8
Operands = Callable[[jax.Array, modular.Moduli, bool], list[jax.Array]]
Product = Callable[[modular.Array, list[jax.Array], modular.Moduli, int], jax.Array]


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


def product_method(platform: str | None = None) -> str:
    """The faster method on a platform, by default the current one: float64 on CPUs, int8 elsewhere."""
    device = current_device() if platform is None else device_like(platform)
    return device.matrix_method


@functools.partial(kernel, static_argnames=("moduli", "bound", "square", "tile", "method"))
@wide
def modular_matrix_product(
    weights: modular.Array,
    x: jax.Array | Sequence[jax.Array],
    moduli: tuple[int, ...],
    bound: int,
    entries: modular.Array | None = None,
    bias: modular.Array | None = None,
    *,
    square: bool = False,
    tile: int | None = None,
    method: str | None = None,
) -> jax.Array:
    """The sum over k of weights[g, o, k] * x[entries[g, k, p]] mod q, exactly, in either domain.

    Args:
        weights: integers, int32 [group, out, k], |w| <= bound.
        x: residues, uint32 [entry, poly, limb, N]; or several such arrays, whose entries are counted one
            after the other: they are not joined in memory.
        moduli: one prime a limb.
        bound: static bound of |w|, below 2**31.
        entries: int32 [group, k, position]: which entry of x each term takes, -1 for none. Without
            it, k runs over all entries, in one group and one position.
        bias: added to the first component, uint32 [group * out * position, limb]: the residues of a
            constant, whose value in the evaluation domain is the same everywhere.
        square: square every entry first, in the same tile: two components (x_0, x_1), in the evaluation
            domain, become the three of (x_0 + x_1 s)^2. Saves writing and reading all the squares.
        tile: coefficients (cut to a divisor of N) worked on at once; by default what the device does best.
        method: "float64" or "int8"; by default `product_method()`.

    Returns:
        uint32 [group, out, position, poly, limb, N].
    """
    arrays = list(x) if isinstance(x, Sequence) else [x]
    count, (polys, limbs, degree) = sum(len(a) for a in arrays), arrays[0].shape[1:]
    groups, length, positions = (1, count, 1) if entries is None else entries.shape
    tile = _tile(tile, degree, (polys + square) * groups * length * positions)
    few = entries is not None and length <= MOST_TERMS and weights.shape[1] == 1
    signs = square and few and bound == 1
    prepare, product = METHODS[method or product_method()]
    zero = np.int32(0)  # 64-bit indices cannot be lowered under vmap, outside of the wide scope
    limb_constants = jax.tree.map(jnp.asarray, constants(moduli))

    def step(index: jax.Array, result: jax.Array) -> jax.Array:
        index = index.astype(jnp.int32)
        limb, column = index // (degree // tile), index % (degree // tile) * tile
        place = (zero, zero, limb, column)
        blocks = [jax.lax.dynamic_slice(a, place, (len(a), polys, 1, tile)) for a in arrays]
        block = jnp.concatenate(blocks)
        modulus = jax.tree.map(lambda constant: constant[limb], limb_constants)
        if signs:
            tiles = _few_squares(weights, block[:, :, 0], entries, modulus)
        else:
            operands = [
                _gather(operand.reshape(count, -1), entries).reshape(groups, length, positions, -1)
                for operand in prepare(block[:, :, 0], modulus, square)
            ]
            tiles = product(weights, operands, modulus, bound)
        tiles = tiles.reshape(*tiles.shape[:3], -1, 1, tile)
        if bias is not None:
            shift = bias[:, limb].reshape(*tiles.shape[:3], 1)
            first = jnp.arange(polys + square) == 0
            shift = jnp.where(first, shift, jnp.uint32(0))[..., None, None]
            tiles = modular.add(tiles, shift, modulus.value)
        return jax.lax.dynamic_update_slice(result, tiles, (zero, zero, zero, zero, limb, column))

    shape = (groups, weights.shape[1], positions, polys + square, limbs, degree)
    steps = limbs * (degree // tile)
    return jax.lax.fori_loop(0, steps, step, jnp.zeros(shape, jnp.uint32))


def _tile(tile: int | None, degree: int, rows: int) -> int:
    """The coefficients done at once: a divisor of N for which gathered rows stay within the device's room."""
    blocks = current_device().blocks
    room = max(16, blocks.matrix_room // rows)
    return math.gcd(min(tile or blocks.matrix_tile, 2 ** (room.bit_length() - 1)), degree)


def _gather(rows: jax.Array, entries: modular.Array | None) -> jax.Array:
    """The rows named by `entries`, zero where an entry is -1."""
    if entries is None:
        return rows
    padded = jnp.concatenate([rows, jnp.zeros_like(rows[:1])])
    return padded[jnp.where(entries < 0, rows.shape[0], entries).reshape(-1)]


def _few_squares(
    signs: modular.Array, block: jax.Array, entries: modular.Array | None, moduli: modular.Moduli
) -> jax.Array:
    """The sums of the squares of a few entries with signs, [group, 1, position, poly, column]."""
    assert entries is not None  # where a few are summed
    groups, length, positions = entries.shape
    named = jnp.where(jnp.asarray(entries) < 0, len(block), entries)
    padded = jnp.concatenate([block, jnp.zeros_like(block[:1])])
    shape = (groups, positions, *block.shape[1:])
    terms = [padded[named[:, k].reshape(-1)].reshape(shape) for k in range(length)]
    return sums_of_squares(signs[:, 0], terms, moduli)[:, None]


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


def _float_operand(x: jax.Array, moduli: modular.Moduli, square: bool) -> list[jax.Array]:
    """Residues in float64, [entry, poly, column]; squared first if asked for, and then centred.

    A product of residues is a b - round(a b / q) q: the quotient from float64 (off by 2**-22 of one at
    most), the remainder from the low 32 bits alone, since it is below 2**30 in magnitude.
    """
    if not square:
        return [x.astype(jnp.float64)]
    q = moduli.value
    inverse = 1.0 / q.astype(jnp.float64)

    def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
        quotient = jnp.round(a.astype(jnp.float64) * b.astype(jnp.float64) * inverse)
        remainder = a * b - quotient.astype(jnp.int32).astype(jnp.uint32) * q
        return remainder.astype(jnp.int32).astype(jnp.float64)

    first, second = x[:, 0], x[:, 1]
    doubled = modular.add(second, second, q)
    parts = [multiply(first, first), multiply(first, doubled), multiply(second, second)]
    return [jnp.stack(parts, 1)]


def _centred(x: jax.Array, moduli: modular.Moduli) -> jax.Array:
    """The same residues in float64 between -q/2 and q/2, and a little beyond."""
    q = moduli.value.astype(jnp.float64)
    return x - jnp.round(x * (1.0 / q)) * q


def _contract(weights: modular.Array, operand: jax.Array, dtype: Any) -> jax.Array:
    """The sum over k of weights[g, o, k] operand[g, k, p, n]: [g, o, p, n].

    Not einsum, whose recorded result type jax.vmap would read outside the 64-bit scope.
    """
    numbers = (((2,), (1,)), ((0,), (0,)))
    return jax.lax.dot_general(weights, operand, numbers, preferred_element_type=dtype)


def _float_product(
    weights: modular.Array, operands: list[jax.Array], moduli: modular.Moduli, bound: int
) -> jax.Array:
    """The product of digits of the weights and residues in float64, centred only where sums need it."""
    length = weights.shape[-1]
    count, bits = weight_digits(bound, length, "float64")
    if count == 1 and bound * length >= 2 ** (_EXACT_BITS - 30) - _SLACK:
        operands = [_centred(operand, moduli) for operand in operands]
    parts = [
        _float_remainder(_contract(digit.astype(jnp.float64), operands[0], None), moduli.value)
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


def _digit_operands(x: jax.Array, moduli: modular.Moduli, square: bool) -> list[jax.Array]:
    """Four balanced base-256 digits of residues below 2**30, int8; squared first if asked for."""
    residues = jnp.stack(modular.square_pair(x[:, 0], x[:, 1], moduli), 1) if square else x
    return [digit.astype(jnp.int8) for digit in _balanced_digits(residues, 4, _DIGIT_BITS)]


def _digit_product(
    weights: modular.Array, operands: list[jax.Array], moduli: modular.Moduli, bound: int
) -> jax.Array:
    """The product by base-256 digits of both sides, int8, summed in int32 (exact below 2**17 terms)."""
    count, bits = weight_digits(bound, weights.shape[-1], "int8")
    parts = []
    for weight in _balanced_digits(weights, count, bits):
        total = jnp.zeros((), jnp.int64)
        for place, digit in enumerate(operands):
            sums = _contract(weight.astype(jnp.int8), digit, jnp.int32)
            total = total + (sums.astype(jnp.int64) << bits * place)
        parts.append(modular.reduce_signed(total, moduli))
    return _horner(parts, bits, moduli)


METHODS: Mapping[str, tuple[Operands, Product]] = MappingProxyType(
    {"float64": (_float_operand, _float_product), "int8": (_digit_operands, _digit_product)}
)
