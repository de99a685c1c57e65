"""Sums of products of ciphertexts, relinearised and rescaled once."""

import functools
from collections.abc import Sequence

from fhejax.ckks.evaluation import add, relinearise, tensor
from fhejax.ckks.levels import bring_down
from fhejax.ckks.operation import Keys, Value


def inner_product(keys: Keys, pairs: Sequence[tuple[Value, Value]]) -> Value:
    """The sum of x y over pairs, one level below the lowest of all, at that level's own scale.

    Args:
        keys: with a relinearisation key.
        pairs: of ciphertexts, each of its level's own scale and two components; higher ones are brought down.

    Raises:
        ValueError: no pair, no level left, or no relinearisation key.
    """
    if not pairs:
        raise ValueError("an inner product of no pairs of ciphertexts was asked for; it would be zero.")
    level = min(x.level for pair in pairs for x in pair)
    products = (tensor(bring_down(x, level), bring_down(y, level)) for x, y in pairs)
    total = functools.reduce(add, products)
    if level == 0:
        raise ValueError(
            "an inner product of ciphertexts at level 0 was asked for, and none is left to rescale to; make "
            "parameters of more depth, or bootstrap."
        )
    return relinearise(keys, total, target_level=level - 1)
