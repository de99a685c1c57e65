"""Polynomials of a ciphertext: planned once, evaluated at the least depth."""

from fhejax.ckks.doors import public
from fhejax.ckks.polynomial.depth import polynomial_depth
from fhejax.ckks.polynomial.evaluation import evaluate_polynomial, evaluate_with_derivative

__all__ = [
    "evaluate_polynomial",
    "evaluate_with_derivative",
    "polynomial_depth",
]

public(globals())
