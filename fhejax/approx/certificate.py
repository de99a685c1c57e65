"""What a polynomial is worth: its measured error against the function that it stands for."""

import numpy as np
from numpy.polynomial.chebyshev import chebval

from fhejax.approx.basis import from_unit, to_unit
from fhejax.approx.checks import coefficients_on_host
from fhejax.approx.functions import Function, values
from fhejax.approx.polynomial import Polynomial

GRID_POINTS = 4096


def error(polynomial: Polynomial, function: str | Function) -> np.ndarray | float:
    """Maximum of |p(x) - function(x)| over a fine grid of the polynomial's interval, in float64.

    One number, or an array of shape channels for a family of polynomials. The grid joins evenly
    spaced points, Chebyshev points dense against the degree, the ends, and 0 where activation
    functions have their kink. It is a lower bound of the true maximum, below it by less than a
    thousandth for functions that are smooth at the scale of the grid. Errors: TypeError if the
    coefficients are traced; as ``chebyshev`` for the function.
    """
    coefficients = coefficients_on_host(polynomial.coefficients, "measured against a function")
    points = grid(polynomial.degree, polynomial.interval)
    unit = to_unit(points, polynomial.interval)
    fitted = chebval(unit, np.moveaxis(coefficients, -1, 0))
    return np.max(np.abs(fitted - values(function, points)), axis=-1)


def grid(degree: int, interval: tuple[float, float]) -> np.ndarray:
    """Points of the interval on which a polynomial of this degree shows its maximum error."""
    count = max(GRID_POINTS, 64 * (degree + 1))
    even = np.linspace(*interval, count + 1)
    dense = from_unit(np.cos(np.linspace(0, np.pi, count + 1)), interval)
    kink = [0.0] if interval[0] <= 0 <= interval[1] else []
    return np.unique(np.concatenate([even, dense, kink]))
