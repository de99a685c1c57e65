"""Linear projections onto polynomials: interpolation, expansions in series, and least squares."""

from fhejax.approx.projections.chebyshev import chebyshev
from fhejax.approx.projections.cryptodl import antiderivative, modified_chebyshev, modified_measure
from fhejax.approx.projections.hermite import hermite, hermite_coefficients
from fhejax.approx.projections.least_squares import least_squares
from fhejax.approx.projections.noise_aware import noise_aware
from fhejax.approx.projections.taylor import taylor

__all__ = [
    "antiderivative",
    "chebyshev",
    "hermite",
    "hermite_coefficients",
    "least_squares",
    "modified_chebyshev",
    "modified_measure",
    "noise_aware",
    "taylor",
]
