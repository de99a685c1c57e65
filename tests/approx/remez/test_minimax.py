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

from benchmarks.golden_errors import GENERAL, GENERAL_DEGREES, SYMMETRIC, SYMMETRIC_DEGREES, agrees
from fhejax.approx import Polynomial, error, minimax


@pytest.mark.parametrize("function, bound", SYMMETRIC, ids=str)
def test_golden_errors_on_symmetric_intervals(function, bound):
    for degree, printed in zip(SYMMETRIC_DEGREES, SYMMETRIC[function, bound].split(), strict=True):
        certificate = minimax(function, degree, (-bound, bound)).certificate
        assert agrees(certificate, printed), (degree, certificate)


@pytest.mark.parametrize("function, start, stop", GENERAL, ids=str)
def test_golden_errors_on_general_intervals(function, start, stop):
    for degree, printed in zip(GENERAL_DEGREES, GENERAL[function, start, stop].split(), strict=True):
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
    rounding = 2e-15 / p.certificate.error  # of the function's own values, by XLA
    assert p.certificate.ratio < 1 + 1e-9 + rounding
    assert float(error(p, function)) == pytest.approx(p.certificate.error, rel=1e-3, abs=3e-14)


@pytest.mark.parametrize("degree, interval", [(40, (-100, 100)), (63, (-100, 100)), (50, (-97, 100))])
def test_functions_that_oscillate_more_often_than_the_reference(degree, interval):
    # No such polynomial is better than 0, and the exchange of all extrema alone goes astray.
    certificate = minimax("sin", degree, interval).certificate
    assert certificate.error == pytest.approx(1, abs=1e-6) and certificate.ratio < 1 + 1e-6


def chirp(x):
    return jnp.sin(x) ** 2 + jnp.sin(x**2)


def square_wave(x):
    return jnp.sign(jnp.sin(30 * x))


@pytest.mark.parametrize(
    "function, degree, interval, expected",
    [
        (chirp, 40, (0, 15), 1),
        (chirp, 110, (0, 15), 0.9999999581),
        (chirp, 127, (0, 15), 0.9921661229),
        (lambda x: jnp.sin(200 * x), 150, (-1, 1), 1),
        (lambda x: jnp.sin(3000 * x), 60, (-1, 1.2), 1),
        (square_wave, 40, (-1, 1.3), 1),
        (lambda x: jnp.abs(jnp.sin(20 * x)), 127, (-1, 1.1), 0.0480574453),
    ],
)
def test_functions_with_far_more_extrema_than_the_reference(function, degree, interval, expected):
    p = minimax(function, degree, interval)
    assert p.certificate.error == pytest.approx(expected, rel=1e-6)
    assert p.certificate.ratio < 1 + 1e-6
    points = np.random.default_rng(3).uniform(*interval, 40000)
    with jax.enable_x64(True):
        exact = np.asarray(function(jnp.asarray(points)))
    found = np.max(np.abs(Chebyshev(p.coefficients, domain=interval)(points) - exact))
    assert 0.99 * p.certificate.error <= found <= p.certificate.error * (1 + 1e-6)


def test_degrees_of_many_hundreds():
    # E_n(|x|) n tends to Bernstein's constant.
    certificate = minimax("abs", 600, (-1, 1)).certificate
    assert certificate.error == pytest.approx(0.28016949902 / 600, rel=1e-5) and certificate.ratio < 1 + 1e-9
    # Where the exchange stalls and the optimum on a grid costs too much, the mean square comes near.
    certificate = minimax(lambda x: jnp.sin(3000 * x), 400, (-1, 1.2)).certificate
    assert 1 <= certificate.error < 1.5 and certificate.error / certificate.ratio > 0.6


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
    with pytest.raises(TypeError, match="an interval is a pair"):
        minimax("relu", 3, ())
    with pytest.raises(ValueError, match="log is not finite at"):
        minimax("log", 3, (0, 1))
    with pytest.raises(ValueError, match="reciprocal is not finite at"):
        minimax("reciprocal", 3, (-1, 1))
    with pytest.raises(ValueError, match="weight is nonnegative"):
        minimax("relu", 3, (-1, 1), weight="identity")
    with pytest.raises(ValueError, match="positive at too few points"):
        minimax("relu", 3, (-1, 1), weight=lambda x: 0 * x)
    with pytest.raises(TypeError, match="a degree is an integer"):
        minimax("relu", 3.0, (-1, 1))
    with pytest.raises(ValueError, match="no function named 'reul'"):
        minimax("reul", 3, (-1, 1))
