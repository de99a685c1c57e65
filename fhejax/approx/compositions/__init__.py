"""Compositions and iterations of polynomials, for functions of which a single polynomial is far."""

from fhejax.approx.compositions.exponential import exponential
from fhejax.approx.compositions.maximum import Maximum, maximum
from fhejax.approx.compositions.piecewise_linear import composite
from fhejax.approx.compositions.range_extension import extend
from fhejax.approx.compositions.reciprocal import Reciprocal, reciprocal
from fhejax.approx.compositions.softmax import Softmax, softmax
from fhejax.approx.compositions.square_root import SquareRoot, rsqrt, sqrt

__all__ = [
    "Maximum",
    "Reciprocal",
    "Softmax",
    "SquareRoot",
    "composite",
    "exponential",
    "extend",
    "maximum",
    "reciprocal",
    "rsqrt",
    "softmax",
    "sqrt",
]
