"""Integer combinations of ciphertexts: linear layers where each sample has a slot of its own."""

import jax
import numpy as np

from fhejax.ckks.noise import estimates
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Ciphertext, is_concrete
from fhejax.ring.matrix_product import modular_matrix_product


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
    if isinstance(ciphertext, NoiseEstimate):
        options = {"entries": entries, "bias": bias, "square": square}
        return estimates.linear_combinations(weights, ciphertext, weight_scale, bound, **options)
    data = modular_matrix_product(
        weights, ciphertext.data, ciphertext.moduli, bound, entries, bias, square=square
    )
    scale = ciphertext.scale * ciphertext.scale if square else ciphertext.scale
    return ciphertext.replace(data=data.reshape(-1, *data.shape[3:]), scale=scale * weight_scale)
