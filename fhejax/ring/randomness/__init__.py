"""Randomness: ChaCha20 keys, streams for a single use, and the polynomials that are drawn from them."""

from fhejax.ring.randomness.chacha20 import CHACHA20, key_from_bytes, random_key
from fhejax.ring.randomness.samplers import (
    centred_binomial,
    signed_to_residues,
    ternary,
    ternary_fixed_weight,
    uniform,
)
from fhejax.ring.randomness.streams import derive

__all__ = [
    "CHACHA20",
    "centred_binomial",
    "derive",
    "key_from_bytes",
    "random_key",
    "signed_to_residues",
    "ternary",
    "ternary_fixed_weight",
    "uniform",
]
