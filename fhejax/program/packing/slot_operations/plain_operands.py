"""Products and sums with plain arrays that are spread over the slots: masks, coefficients, biases."""

from collections.abc import Sequence

import numpy as np

from fhejax.ckks import Ciphertext, NoiseEstimate, encode
from fhejax.ckks.evaluation import add, multiply_plain, rescale
from fhejax.ckks.operation import Value
from fhejax.ckks.parameters import Scale
from fhejax.program.packing.layout import Spread


def multiply_plain_array(ciphertexts: Sequence[Value], factor: Spread) -> list[Value]:
    """Each ciphertext times its slots' numbers, one level below, at that level's own scale.

    Args:
        ciphertexts: of the layout over which the array is spread, in order.
        factor: of `spread` or `mask`.

    Raises:
        ValueError: no level left, other slots, or numbers that all round to zero.
    """
    return [_times(x, row) for x, row in zip(ciphertexts, factor.vectors(), strict=True)]


def _times(ciphertext: Value, row: np.ndarray) -> Value:
    params, level = ciphertext.params, ciphertext.level
    if level == 0:
        raise ValueError(
            "a product with a plain array at level 0 was asked for, and none is left to rescale to; make "
            "parameters of more depth, or bootstrap."
        )
    scale = _factor_scale(ciphertext)
    return rescale(multiply_plain(ciphertext, encode(params, row, level=level, scale=scale)))


def _factor_scale(ciphertext: Ciphertext | NoiseEstimate) -> Scale:
    """The scale of a factor with which the product has, after a rescale, the lower level's own."""
    params, level = ciphertext.params, ciphertext.level
    return params.scales[level - 1] * params.rescale_factor(level, level - 1) / ciphertext.scale


def add_plain_array(ciphertexts: Sequence[Value], term: Spread) -> list[Value]:
    """Each ciphertext plus its slots' numbers; level and scale stay.

    Args:
        ciphertexts: of the layout over which the array is spread, in order.
        term: of `spread`.
    """
    return [
        add(x, encode(x.params, row, level=x.level, scale=x.scale))
        for x, row in zip(ciphertexts, term.vectors(), strict=True)
    ]
