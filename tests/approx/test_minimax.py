"""Remez fits against published errors, closed forms, linear programs, and direct evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Chebyshev
from numpy.polynomial.chebyshev import chebval, chebvander
from scipy.optimize import linprog

from fhejax.approx import Polynomial, error, minimax

DEGREES = (3, 5, 7, 13, 15, 27, 31, 59, 63)
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


def agrees(certificate, printed):
    """Every printed digit; where the error is below 1e-11, to a thousandth."""
    if printed == "-":
        return certificate.error < 5e-15
    expected, digits = float(printed), printed.partition("e")[0]
    unit = 10.0 ** -len(digits.partition(".")[2]) * expected / float(digits)
    tolerance = 0.5001 * unit if expected > 1e-11 else 1e-3 * expected
    best = 1 + (1e-6 if expected > 1e-8 else 1e-3)
    return abs(certificate.error - expected) <= tolerance and 1 <= certificate.ratio <= best


@pytest.mark.parametrize("function, bound", SYMMETRIC, ids=str)
def test_golden_errors_on_symmetric_intervals(function, bound):
    for degree, printed in zip(DEGREES, SYMMETRIC[function, bound].split(), strict=True):
        certificate = minimax(function, degree, (-bound, bound)).certificate
        assert agrees(certificate, printed), (degree, certificate)


@pytest.mark.parametrize("function, start, stop", GENERAL, ids=str)
def test_golden_errors_on_general_intervals(function, start, stop):
    for degree, printed in zip((3, 7, 15, 31), GENERAL[function, start, stop].split(), strict=True):
        certificate = minimax(function, degree, (start, stop)).certificate
        assert agrees(certificate, printed), (degree, certificate)


@pytest.mark.parametrize("degree", [3, 7, 15, 31, 63])
def test_reciprocal_has_a_closed_form(degree):
    # E = (c - sqrt(c^2 - 1))^n / (c^2 - 1) / r for 1 / (r (t + c)) on [-1, 1] (Chebyshev, 1887).
    c, r = 11 / 9, 0.45
    exact = (c - np.sqrt(c * c - 1)) ** degree / (c * c - 1) / r
    assert minimax("reciprocal", degree, (0.1, 1)).certificate.error == pytest.approx(
        exact, rel=1e-4, abs=1e-14
    )


@pytest.mark.parametrize("degree", [0, 1, 2, 6, 30, 120])
def test_power_of_one_degree_more_has_a_closed_form(degree):
    p = minimax(lambda x: jnp.cos((degree + 1) * jnp.arccos(x)), degree, (-1, 1))
    assert p.certificate.error == pytest.approx(1, rel=1e-9)
    assert np.max(np.abs(p.coefficients)) < 1e-8


@pytest.mark.parametrize("degree", [59, 63, 119, 127])
def test_relu_of_high_degree_follows_bernsteins_constant(degree):
    # 2n E_2n(|x|) = 0.28016949902 - 0.04396752888 / n^2 + 0.0264 / n^4 .. (Varga, Carpenter, 1985).
    n = (degree - 1) // 2
    expected = (0.28016949902 - 0.04396752888 / n**2 + 0.0264 / n**4) / (4 * n)
    certificate = minimax("relu", degree, (-1, 1)).certificate
    assert certificate.error == pytest.approx(expected, rel=1e-7)
    assert certificate.ratio < 1 + 1e-9


@pytest.mark.parametrize("function, bound", [("sigmoid", 16), ("tanh", 8), ("gelu", 16), ("mish", 16)])
@pytest.mark.parametrize("degree", [119, 127])
def test_high_degrees_alternate(function, bound, degree):
    p = minimax(function, degree, (-bound, bound))
    assert p.certificate.ratio < 1 + 1e-9
    assert float(error(p, function)) == pytest.approx(p.certificate.error, rel=1e-3, abs=3e-14)


@pytest.mark.parametrize("degree, interval", [(40, (-100, 100)), (63, (-100, 100)), (50, (-97, 100))])
def test_functions_that_oscillate_more_often_than_the_reference(degree, interval):
    # No such polynomial is better than 0, and the exchange of all extrema alone goes astray.
    certificate = minimax("sin", degree, interval).certificate
    assert certificate.error == pytest.approx(1, abs=1e-6) and certificate.ratio < 1 + 1e-6


SMOOTH = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "exp": np.exp,
    "sin": np.sin,
}


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(sorted(SMOOTH)),
    start=st.floats(-6, 4),
    width=st.floats(0.2, 9),
    degree=st.integers(0, 24),
)
def test_any_interval(name, start, width, degree):
    interval = (start, start + width)
    p = minimax(name, degree, interval)
    x = np.linspace(*interval, 3001)
    measured = np.abs(Chebyshev(p.coefficients, domain=interval)(x) - SMOOTH[name](x))
    scale = 1 + np.max(np.abs(SMOOTH[name](x)))
    assert np.max(measured) <= p.certificate.error * (1 + 1e-9) + 1e-14 * scale
    assert np.max(measured) >= p.certificate.error * 0.98 - 1e-14 * scale
    # Errors of a few hundred units of rounding cannot be told apart, and small ones only roughly.
    units = p.certificate.error / (np.finfo(float).eps * scale)
    if units > 256:
        assert p.certificate.ratio <= 1 + (1e-6 if p.certificate.error > 1e-8 else max(1e-3, 4 / units))


def program(values, points, degree, hull, weight=1.0):
    """The optimum over points, as a linear program, scaled to the solver's tolerance of 1e-7."""
    values = 1e5 * values
    unit = (2 * points - hull[0] - hull[1]) / (hull[1] - hull[0])
    basis = chebvander(unit, degree)
    level = -(np.ones(len(points)) / weight)[:, None]
    rows = np.block([[basis, level], [-basis, level]])
    costs = np.append(np.zeros(degree + 1), 1.0)
    bounds = [(None, None)] * (degree + 2)
    return linprog(costs, A_ub=rows, b_ub=np.append(values, -values), bounds=bounds, method="highs").fun / 1e5


@settings(deadline=None, max_examples=15)
@given(
    ends=st.lists(st.floats(-4, 4), min_size=6, max_size=6),
    degree=st.integers(1, 12),
    name=st.sampled_from(sorted(SMOOTH)),
)
def test_disjoint_intervals_against_a_linear_program(ends, degree, name):
    ends = np.sort(ends) + 0.3 * np.arange(6)
    pieces = [tuple(ends[:2]), tuple(ends[2:4]), tuple(ends[4:])]
    p = minimax(name, degree, pieces)
    points = np.concatenate(
        [(a + b) / 2 - (b - a) / 2 * np.cos(np.linspace(0, np.pi, 200)) for a, b in pieces]
    )
    points = np.append(points, [0.0 for a, b in pieces if a <= 0 <= b])
    optimum = program(SMOOTH[name](points), points, degree, p.interval)
    assert p.certificate.error == pytest.approx(optimum, rel=3e-3, abs=1e-9)
    assert p.certificate.ratio <= 1 + (1e-6 if p.certificate.error > 1e-8 else 1e-3)


def test_weights_against_a_linear_program():
    x = np.cos(np.linspace(0, np.pi, 1500)) + 2
    p = minimax("exp", 6, (1, 3), weight=lambda x: jnp.exp(-x))
    assert p.certificate.error == pytest.approx(program(np.exp(x), x, 6, (1, 3), np.exp(-x)), rel=1e-4)
    # The weighted residual of 1/x is a Chebyshev polynomial that is 1 at 0.
    seed = minimax("reciprocal", 4, (0.5, 2), weight=jnp.abs)
    assert seed.certificate.error == pytest.approx(1 / abs(chebval(-5 / 3, np.eye(6)[5])), rel=1e-9)


def test_parameters_and_parity():
    p = minimax(lambda x, slope: jax.nn.leaky_relu(x, slope), 9, (-2, 2), parameters=(0.2,))
    relu = minimax("relu", 9, (-2, 2)).coefficients
    line = 0.2 * np.eye(10)[1] * 2
    assert np.allclose(p.coefficients, 0.8 * relu + line, atol=1e-12)
    assert np.all(minimax("tanh", 63, (-8, 8)).coefficients[::2] == 0)
    assert np.all(minimax("gelu", 31, (-8, 8)).coefficients[3::2] == 0)
    assert minimax("sign", 5, ((-2, -0.5), (0.5, 2))).coefficients[0] == 0


def test_what_is_polynomial_is_found_exactly():
    p = minimax(lambda x: 1 - 2 * x + x**3, 5, (-3, 1))
    assert np.allclose(p.to_monomial(), [1, -2, 0, 1, 0, 0], atol=1e-12)
    assert p.certificate.error < 1e-14 and p.certificate.ratio == 1
    assert minimax(lambda x: 0.0, 3, (-1, 1)).certificate.error == 0
    assert minimax("exp", 0, (0, 1)).coefficients == pytest.approx([(1 + np.e) / 2])
    assert minimax("tanh", 0, (-1, 1)).certificate.error == pytest.approx(np.tanh(1))


def test_growth_outside_is_measured():
    certificate = minimax("sigmoid", 31, (-8, 8)).certificate
    p = minimax("sigmoid", 31, (-8, 8))
    x = np.linspace(-8.4, 8.4, 20001)
    expected = np.max(np.abs(Chebyshev(p.coefficients, domain=(-8, 8))(x)))
    assert certificate.growth == pytest.approx(
        max(1.0, expected / np.max(np.abs(p(jnp.linspace(-8, 8, 999))))), rel=1e-3
    )
    gap = minimax("sin", 9, ((4, 5), (-5, -4.9))).certificate
    assert gap.intervals == ((-5.0, -4.9), (4.0, 5.0))
    assert gap.growth > 1 and gap.degree == 9 and gap.depth == 4


@pytest.mark.parametrize("double", [False, True])
def test_precision_does_not_depend_on_the_users_settings(double):
    expected = minimax("silu", 9, (-8, 8)).coefficients
    with jax.enable_x64(double):
        assert np.array_equal(minimax("silu", 9, (-8, 8)).coefficients, expected)
        traced = []
        jax.jit(lambda: traced.append(minimax("silu", 9, (-8, 8)).coefficients))()
    assert np.array_equal(traced[0], expected)


def test_certificate_is_no_part_of_the_pytree():
    p = minimax("relu", 3, (-1, 1))
    assert "error=0.0625" in repr(p)
    assert jax.tree.leaves(p)[0] is p.coefficients and len(jax.tree.leaves(p)) == 1
    doubled = jax.tree.map(lambda c: 2 * c, p)
    assert isinstance(doubled, Polynomial) and doubled.certificate is None
    other = minimax("tanh", 3, (-1, 1))
    assert jax.tree.structure(p) == jax.tree.structure(other)


def test_bad_input_is_refused_in_sentences():
    for interval in ((1, -1), (1, 1)):
        with pytest.raises(ValueError, match="empty or reversed"):
            minimax("relu", 3, interval)
    with pytest.raises(ValueError, match="touch or overlap"):
        minimax("relu", 3, ((-1, 0.5), (0.2, 1)))
    with pytest.raises(ValueError, match="touch or overlap"):
        minimax("relu", 3, ((-1, 0), (0, 1)))
    with pytest.raises(ValueError, match="empty or reversed"):
        minimax("relu", 3, ((-1, -2), (0, 1)))
    with pytest.raises(TypeError, match="An interval is a pair"):
        minimax("relu", 3, ())
    with pytest.raises(ValueError, match="log is not finite at"):
        minimax("log", 3, (0, 1))
    with pytest.raises(ValueError, match="reciprocal is not finite at"):
        minimax("reciprocal", 3, (-1, 1))
    with pytest.raises(ValueError, match="weight is nonnegative"):
        minimax("relu", 3, (-1, 1), weight="identity")
    with pytest.raises(ValueError, match="positive at too few points"):
        minimax("relu", 3, (-1, 1), weight=lambda x: 0 * x)
    with pytest.raises(TypeError, match="A degree is an integer"):
        minimax("relu", 3.0, (-1, 1))
    with pytest.raises(ValueError, match="no function named 'reul'"):
        minimax("reul", 3, (-1, 1))
