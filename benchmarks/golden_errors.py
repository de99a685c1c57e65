"""Best errors of polynomials, to the digits in which they are known; tests and benchmarks hold fits to them.

One row for each function and interval, one column for each degree; "-" is an error below rounding.
"""

from fhejax.approx import Certificate

SYMMETRIC_DEGREES = (3, 5, 7, 13, 15, 27, 31, 59, 63)
# By function and bound, on [-bound, bound].
SYMMETRIC = {
    ("relu", 1): "6.250e-2 3.381e-2 2.296e-2 1.162e-2 9.974e-3 5.383e-3 4.666e-3 2.415e-3 2.259e-3",
    ("sigmoid", 5): "3.889e-2 1.179e-2 3.596e-3 1.025e-4 3.130e-5 2.543e-8 2.373e-9 - -",
    ("sigmoid", 8): "8.946e-2 4.085e-2 1.889e-2 1.892e-3 8.789e-4 8.843e-6 1.909e-6 4.173e-11 9.009e-12",
    ("sigmoid", 16): "1.847e-1 1.197e-1 7.952e-2 2.430e-2 1.644e-2 1.580e-3 7.238e-4 3.069e-6 1.406e-6",
    ("tanh", 4): "1.789e-1 8.171e-2 3.778e-2 3.783e-3 1.758e-3 1.769e-5 3.818e-6 8.346e-11 1.802e-11",
    ("tanh", 8): "3.694e-1 2.395e-1 1.590e-1 4.861e-2 3.287e-2 3.159e-3 1.448e-3 6.139e-6 2.813e-6",
    ("gelu", 4): "2.324e-1 8.537e-2 3.040e-2 7.194e-4 1.656e-4 3.817e-9 6.102e-11 - -",
    ("gelu", 8): "4.999e-1 2.617e-1 1.561e-1 3.404e-2 1.942e-2 2.797e-4 4.830e-5 3.392e-12 1.933e-13",
    ("gelu", 16): "1.000e+0 5.410e-1 3.663e-1 1.605e-1 1.254e-1 2.665e-2 1.489e-2 6.589e-5 2.473e-5",
    ("silu", 8): "4.689e-1 1.944e-1 8.784e-2 8.720e-3 4.051e-3 4.076e-5 8.799e-6 1.923e-10 4.152e-11",
    ("softplus", 8): "2.623e-1 7.810e-2 2.729e-2 1.603e-3 6.558e-4 3.849e-6 7.298e-7 8.621e-12 1.747e-12",
}
GENERAL_DEGREES = (3, 7, 15, 31)
# By function, start and stop.
GENERAL = {
    ("exp", -8, 0): "5.90e-2 3.76e-4 1.47e-10 -",
    ("exp", -16, 0): "1.42e-1 6.60e-3 3.63e-7 -",
    ("reciprocal", 0.1, 1): "6.31e-1 4.59e-2 2.44e-4 6.86e-9",
    ("reciprocal", 0.01, 1): "27.1 12.1 2.44 9.84e-2",
    ("rsqrt", 0.1, 1): "8.96e-2 4.84e-3 1.87e-5 3.78e-10",
    ("rsqrt", 0.01, 1): "1.71 0.615 9.56e-2 2.89e-3",
    ("sqrt", 0, 1): "4.59e-2 1.99e-2 9.33e-3 4.52e-3",
    ("log", 0.1, 1): "4.43e-2 1.69e-3 4.63e-6 6.63e-11",
}


def agrees(certificate: Certificate, printed: str) -> bool:
    """Whether a fit is best and has the error that is printed.

    Every digit counts; where the error is below 1e-11, a thousandth of it.
    """
    if printed == "-":
        return certificate.error < 5e-15
    expected, digits = float(printed), printed.partition("e")[0]
    unit = 10.0 ** -len(digits.partition(".")[2]) * expected / float(digits)
    tolerance = 0.5001 * unit if expected > 1e-11 else 1e-3 * expected
    best = 1 + (1e-6 if expected > 1e-8 else 1e-3)
    return abs(certificate.error - expected) <= tolerance and 1 <= certificate.ratio <= best
