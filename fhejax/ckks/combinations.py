"""Integer combinations of ciphertexts: linear layers where each sample has a slot of its own."""

from collections.abc import Sequence

import numpy as np

from fhejax.ckks.encoding.values import as_numbers
from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate, Numbers
from fhejax.ckks.operation import Value, operation
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Ciphertext, is_concrete
from fhejax.ring.matrix_product import modular_matrix_product

_NAME = "linear_combinations"


def linear_combinations(
    weights: Numbers,
    ciphertext: Value,
    weight_scale: Scale | float,
    bound: int,
    *,
    entries: Numbers | None = None,
    bias: Numbers | None = None,
    square: bool = False,
) -> Value:
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

    Inside of jit nobody looks at the weights and entries: that they keep to the bound, and name entries that
    are there, is for the caller to see to.

    Raises:
        TypeError: weights, entries or a bias of another dtype.
        ValueError: shapes that do not fit each other and, when called eagerly, a weight beyond `bound` or an
            entry that is not there.
    """
    weight_scale = Scale.of(weight_scale)
    entries, bias = (array if array is None else as_numbers(array, _NAME) for array in (entries, bias))
    _check_weights(weights, bound)
    _check_shapes(weights, ciphertext, entries, bias)
    return _combined(ciphertext, weights, weight_scale, bound, entries, bias, square)


def combinations_of_tiles(
    weights: Numbers,
    tiles: Sequence[Ciphertext],
    weight_scale: Scale,
    bound: int,
    *,
    entries: Numbers | None,
    bias: Numbers | None = None,
    square: bool = False,
) -> Ciphertext:
    """The same combinations of a batch that lies in several arrays, which are not joined in memory.

    Args:
        weights: as of `linear_combinations`, not looked at.
        tiles: ciphertexts of one level and scale, data [entry, poly, limb, N]; entries are counted one tile
            after the other.
        weight_scale: multiplies the scale.
        bound: of the weights.
        entries: int32 [group, k, position]: the entry each term takes, -1 for none; None for all in order.
        bias: residues [out of all, limb] of plain numbers at the scale of the result, added to it.
        square: square every entry first (two components become three, and the scale is squared).

    Returns:
        Ciphertext [group * out * position, poly, limb, N], not rescaled.
    """
    first, arrays = tiles[0], [tile.data for tile in tiles]
    data = modular_matrix_product(weights, arrays, first.moduli, bound, entries, bias, square=square)
    scale = first.scale * first.scale if square else first.scale
    return first.replace(data=data.reshape(-1, *data.shape[3:]), scale=scale * weight_scale)


@operation(noise=estimates.linear_combinations)
def _combined(
    ciphertext: Ciphertext,
    weights: Numbers,
    weight_scale: Scale,
    bound: int,
    entries: Numbers | None,
    bias: Numbers | None,
    square: bool,
) -> Ciphertext:
    given = {"entries": entries, "bias": bias, "square": square}
    return combinations_of_tiles(weights, [ciphertext], weight_scale, bound, **given)


def _check_weights(weights: Numbers, bound: int) -> None:
    array = as_numbers(weights, _NAME)
    if array.dtype != np.int32 or array.ndim != 3:
        raise TypeError(
            f"linear_combinations was given weights of {array.dtype} {array.shape}; it takes int32 [group, "
            f"out, k]: the integers nearest to weights * weight_scale."
        )
    if is_concrete(weights) and (np.abs(np.asarray(weights, np.int64)) > bound).any():
        raise ValueError(
            f"linear_combinations was given weights up to {np.abs(np.asarray(weights, np.int64)).max()} with "
            f"a bound of {bound}, which its exact sums rely on; raise the bound."
        )


def _check_shapes(
    weights: Numbers, ciphertext: Ciphertext | NoiseEstimate, entries: Numbers | None, bias: Numbers | None
) -> None:
    batch = ciphertext.batch
    if len(batch) != 1 or not batch[0]:
        raise ValueError(
            f"linear_combinations was given ciphertexts of batch {batch}; it takes one batch axis, not empty."
        )
    if entries is not None and (entries.ndim != 3 or entries.dtype != np.int32):
        raise TypeError(
            f"linear_combinations was given entries of {entries.dtype} {entries.shape}; it takes int32 "
            f"[group, k, position]."
        )
    groups, length, positions = (1, *batch, 1) if entries is None else entries.shape
    if (weights.shape[0], weights.shape[2]) != (groups, length):
        raise ValueError(
            f"linear_combinations was given weights of shape {weights.shape} for {groups} groups of {length} "
            f"terms; their first and last axes must be these."
        )
    if entries is not None and is_concrete(entries) and not _are_there(np.asarray(entries), batch[0]):
        raise ValueError(
            f"linear_combinations was given entries from {np.min(entries)} to {np.max(entries)} of a batch "
            f"of {batch[0]}; an entry is 0 to {batch[0] - 1}, or -1 for none."
        )
    expected = (groups * weights.shape[1] * positions, len(ciphertext.moduli))
    if bias is not None and (bias.dtype != np.uint32 or bias.shape != expected):
        raise TypeError(
            f"linear_combinations was given a bias of {bias.dtype} {bias.shape}; it takes the residues of a "
            f"number for each result, uint32 {expected}."
        )


def _are_there(entries: np.ndarray, count: int) -> bool:
    return not entries.size or (entries.min() >= -1 and entries.max() < count)
