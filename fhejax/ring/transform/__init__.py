"""The number-theoretic transform: one face, the methods that it is done by, and the tree they share."""

from fhejax.ring.transform.ntt import (
    METHODS,
    Twiddles,
    chosen_method,
    inverse_ntt,
    inverse_ntt_by,
    ntt,
    twiddles,
)
from fhejax.ring.transform.tree import evaluation_exponents

__all__ = [
    "METHODS",
    "Twiddles",
    "chosen_method",
    "evaluation_exponents",
    "inverse_ntt",
    "inverse_ntt_by",
    "ntt",
    "twiddles",
]
