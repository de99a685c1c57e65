"""Exact product of a small integer matrix with residues: the throughput kernel.

With one sample in each slot, a linear layer with plain weights is an integer matrix product of
residues, limb by limb: no transform, no rotation, no encoding. A CPU has tiles of columns of one limb in its
caches, one after the other; a GPU, which each turn of a loop would leave idle, takes all limbs and as many
columns as there is room for in one product.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fhejax.ring import modular
from fhejax.ring.matrix_methods import LONGEST_SUM, METHODS, sums_a_result
from fhejax.ring.modular import constants
from fhejax.ring.platform import current_device, device_like
from fhejax.ring.sums_of_squares import MOST_TERMS, sums_of_squares
from fhejax.ring.wide import kernel, wide

__all__ = ["METHODS", "modular_matrix_product", "product_method"]

Sums = Callable[[jax.Array, modular.Moduli], jax.Array]


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
        method: "float64" or "int8"; by default `product_method()`, or float64 for sums too long for int8.

    Returns:
        uint32 [group, out, position, poly, limb, N].

    Raises:
        ValueError: sums of 2**17 terms or more, asked for by int8.
    """
    arrays = list(x) if isinstance(x, Sequence) else [x]
    count, (polys, limbs, degree) = sum(len(a) for a in arrays), arrays[0].shape[1:]
    groups, length, positions = (1, count, 1) if entries is None else entries.shape
    outputs, device = weights.shape[1], current_device()
    method = method or ("float64" if length >= LONGEST_SUM else device.matrix_method)
    few = entries is not None and length <= MOST_TERMS and outputs == 1
    signs = square and few and bound == 1
    prepare, product = METHODS[method]

    def sums(block: jax.Array, modulus: modular.Moduli) -> jax.Array:
        """The sums [group, out, position, ...] of a tile [entry, poly, column] or [..., limb, column]."""
        if signs:
            return _few_squares(weights, block, entries, modulus)
        operand = prepare(block, modulus, square)
        kept = (-1,) if block.ndim == 3 else operand.shape[1:]  # moduli of all limbs broadcast against these
        rows = _gather(operand.reshape(count, *kept), entries)
        return product(weights, rows.reshape(groups, length, positions, *kept), modulus, bound)

    shape = (groups, outputs, positions, polys + square, limbs, degree)
    rows = (polys + square) * groups * length * positions
    if device.matrix_limbs == "one":
        return _limb_by_limb(sums, arrays, moduli, bias, shape, _tile(tile, degree, rows))
    rows += (polys + square) * groups * positions * outputs * sums_a_result(bound, length, method)
    return _limbs_together(sums, arrays, moduli, bias, shape, _tile(tile, degree, rows * limbs))


def _limb_by_limb(
    sums: Sums,
    arrays: Sequence[jax.Array],
    moduli: tuple[int, ...],
    bias: modular.Array | None,
    shape: tuple[int, ...],
    tile: int,
) -> jax.Array:
    """The result by tiles of one limb each, in a loop."""
    polys, degree = arrays[0].shape[1], shape[-1]
    zero = np.int32(0)  # 64-bit indices cannot be lowered under vmap, outside of the wide scope
    limb_constants = jax.tree.map(jnp.asarray, constants(moduli))

    def step(index: jax.Array, result: jax.Array) -> jax.Array:
        index = index.astype(jnp.int32)
        limb, column = index // (degree // tile), index % (degree // tile) * tile
        place = (zero, zero, limb, column)
        blocks = [jax.lax.dynamic_slice(a, place, (len(a), polys, 1, tile)) for a in arrays]
        block = jnp.concatenate(blocks)
        modulus = jax.tree.map(lambda constant: constant[limb], limb_constants)
        tiles = sums(block[:, :, 0], modulus)
        tiles = tiles.reshape(*tiles.shape[:3], -1, 1, tile)
        if bias is not None:
            tiles = _with_bias(tiles, bias[:, limb], modulus)
        return jax.lax.dynamic_update_slice(result, tiles, (zero, zero, zero, zero, limb, column))

    steps = len(moduli) * (degree // tile)
    return jax.lax.fori_loop(0, steps, step, jnp.zeros(shape, jnp.uint32))


def _limbs_together(
    sums: Sums,
    arrays: Sequence[jax.Array],
    moduli: tuple[int, ...],
    bias: modular.Array | None,
    shape: tuple[int, ...],
    tile: int,
) -> jax.Array:
    """The result by one product of all limbs; in a loop only where there is no room for all columns."""
    degree, limbs = shape[-1], constants(moduli)

    def columns(parts: Sequence[jax.Array]) -> jax.Array:
        tiles = sums(parts[0] if len(parts) == 1 else jnp.concatenate(parts), limbs)
        return tiles if bias is None else _with_bias(tiles, bias, limbs)

    def step(index: jax.Array, result: jax.Array) -> jax.Array:
        column = index.astype(jnp.int32) * np.int32(tile)
        parts = [jax.lax.dynamic_slice_in_dim(a, column, tile, -1) for a in arrays]
        return jax.lax.dynamic_update_slice_in_dim(result, columns(parts), column, -1)

    if tile == degree:
        return columns(arrays)
    return jax.lax.fori_loop(0, degree // tile, step, jnp.zeros(shape, jnp.uint32))


def _with_bias(tiles: jax.Array, bias: modular.Array, moduli: modular.Moduli) -> jax.Array:
    """The tiles [group, out, position, poly, limb, column], and a bias in the first component of each."""
    shift = bias.reshape(*tiles.shape[:3], 1, -1, 1)
    first = jnp.arange(tiles.shape[3])[:, None, None] == 0
    return modular.add(tiles, jnp.where(first, shift, jnp.uint32(0)), moduli.value)


def _tile(tile: int | None, degree: int, rows: int) -> int:
    """The coefficients done at once: a divisor of N for which what they need stays within the device's room.

    Args:
        tile: asked for, or None.
        degree: N.
        rows: numbers that one coefficient needs, gathered and, where limbs are together, summed.
    """
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
    """The sums of the squares of a few entries with signs, [group, 1, position, poly, ...]."""
    assert entries is not None  # where a few are summed
    groups, length, positions = entries.shape
    named = jnp.where(jnp.asarray(entries) < 0, len(block), entries)
    padded = jnp.concatenate([block, jnp.zeros_like(block[:1])])
    shape = (groups, positions, *block.shape[1:])
    terms = [padded[named[:, k].reshape(-1)].reshape(shape) for k in range(length)]
    return sums_of_squares(signs[:, 0], terms, moduli)[:, None]
