"""Polynomials on intervals in the Chebyshev basis, compositions of them, and what a fit of one is worth."""

from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.polynomials.polynomial import Polynomial, depth_of_degree, multiplications_of_degree
from fhejax.approx.polynomials.primitive import polynomial_p

__all__ = [
    "Certificate",
    "Composite",
    "Polynomial",
    "depth_of_degree",
    "multiplications_of_degree",
    "polynomial_p",
]
