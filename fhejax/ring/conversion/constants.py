"""The constants of a conversion between bases, in the order in which sums take them."""

import functools
import math
from typing import NamedTuple

import numpy as np

from fhejax.ring import modular


class Conversion(NamedTuple):
    """Constants of a conversion from the primes q_i, whose product is Q, to the primes p_j.

    inverses: uint32 [3, source]: (Q/q_i)^-1 mod q_i, its Shoup quotient, and q_i. reciprocals: float64
    [source], 1 / q_i. weights: uint32 [target, source and one more]: Q/q_i mod p_j, then -Q mod p_j. moduli:
    uint32 [4, target]: p_j, 2**32 mod p_j, its quotient, and that of 1.
    """

    inverses: np.ndarray
    reciprocals: np.ndarray
    weights: np.ndarray
    moduli: np.ndarray


@functools.cache
def conversion(source: tuple[int, ...], target: tuple[int, ...]) -> Conversion:
    """The constants, made on the host once."""
    product = math.prod(source)
    inverses = [pow(product // q, -1, q) for q in source]
    quotients = [modular.quotient(y, q) for y, q in zip(inverses, source, strict=True)]
    weights = [[product // q % p for q in source] + [-product % p] for p in target]
    powers = [2**32 % p for p in target]
    moduli = [
        target,
        powers,
        [modular.quotient(power, p) for power, p in zip(powers, target, strict=True)],
        [modular.quotient(1, p) for p in target],
    ]
    return Conversion(
        np.array([inverses, quotients, source], np.uint32),
        np.array([1.0 / q for q in source]),
        np.array(weights, np.uint32),
        np.array(moduli, np.uint32),
    )
