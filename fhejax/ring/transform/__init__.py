"""The number-theoretic transform: one face, the methods that it is done by, and the tree they share."""

from fhejax.ring.transform.ntt import (
    METHODS,
    Twiddles,
    chosen_method,
    evaluation_exponents,
    inverse_ntt,
    inverse_ntt_by,
    ntt,
    twiddles,
)

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
