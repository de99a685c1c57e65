"""Best approximations in the maximum norm: Remez's exchange, and linear minimax problems."""

from fhejax.approx.remez.c1 import c1
from fhejax.approx.remez.minimax import minimax

__all__ = [
    "c1",
    "minimax",
]
