"""Functions to polynomials: fits on an interval, and ``Polynomial``, which JAX transforms."""

from fhejax.approx.certificate import error as error
from fhejax.approx.chebyshev import chebyshev as chebyshev
from fhejax.approx.functions import FUNCTIONS as FUNCTIONS
from fhejax.approx.least_squares import least_squares as least_squares
from fhejax.approx.polynomial import Polynomial as Polynomial
from fhejax.approx.polynomial import depth_of_degree as depth_of_degree
from fhejax.approx.primitive import polynomial_p as polynomial_p
