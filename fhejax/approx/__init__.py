"""Approximation of functions by polynomials: fits on an interval, and `Polynomial`, which JAX transforms."""

from fhejax.approx.compositions.exponential import exponential
from fhejax.approx.compositions.maximum import Maximum, maximum
from fhejax.approx.compositions.piecewise_linear import composite
from fhejax.approx.compositions.range_extension import extend
from fhejax.approx.compositions.reciprocal import Reciprocal, reciprocal
from fhejax.approx.compositions.softmax import Softmax, softmax
from fhejax.approx.compositions.square_root import SquareRoot, rsqrt, sqrt
from fhejax.approx.errors.measurement import derivative_error, error, root_mean_square_error
from fhejax.approx.fit import fit
from fhejax.approx.functions import FUNCTIONS
from fhejax.approx.polynomials.certificate import Certificate
from fhejax.approx.polynomials.composite import Composite
from fhejax.approx.polynomials.polynomial import Polynomial, depth_of_degree, multiplications_of_degree
from fhejax.approx.polynomials.primitive import polynomial_p
from fhejax.approx.projections.chebyshev import chebyshev
from fhejax.approx.projections.cryptodl import antiderivative, modified_chebyshev, modified_measure
from fhejax.approx.projections.hermite import hermite, hermite_coefficients
from fhejax.approx.projections.least_squares import least_squares
from fhejax.approx.projections.noise_aware import noise_aware
from fhejax.approx.projections.taylor import taylor
from fhejax.approx.remez.c1 import c1
from fhejax.approx.remez.minimax import minimax

__all__ = [
    "FUNCTIONS",
    "Certificate",
    "Composite",
    "Maximum",
    "Polynomial",
    "Reciprocal",
    "Softmax",
    "SquareRoot",
    "antiderivative",
    "c1",
    "chebyshev",
    "composite",
    "depth_of_degree",
    "derivative_error",
    "error",
    "exponential",
    "extend",
    "fit",
    "hermite",
    "hermite_coefficients",
    "least_squares",
    "maximum",
    "minimax",
    "modified_chebyshev",
    "modified_measure",
    "multiplications_of_degree",
    "noise_aware",
    "polynomial_p",
    "reciprocal",
    "root_mean_square_error",
    "rsqrt",
    "softmax",
    "sqrt",
    "taylor",
]
