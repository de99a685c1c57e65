"""Fits of value and derivative against published optima and a linear program."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import Chebyshev
from numpy.polynomial.chebyshev import chebvander
from scipy.optimize import linprog

from fhejax.approx import c1, derivative_error, error, minimax

GOLDEN = {
    ("sigmoid", 8, 7): (1.89e-2, 1.41e-1, 3.10e-2),
    ("sigmoid", 8, 15): (8.79e-4, 2.72e-2, 2.63e-3),
    ("tanh", 4, 7): (3.78e-2, 5.65e-1, 1.24e-1),
    ("tanh", 4, 15): (1.76e-3, 1.09e-1, 1.05e-2),
    ("gelu", 4, 15): (1.66e-4, 9.68e-3, 1.08e-3),
    ("silu", 8, 15): (4.05e-3, 1.10e-1, 1.14e-2),
}


@pytest.mark.parametrize("function, bound, degree", GOLDEN, ids=str)
def test_published_optima(function, bound, degree):
    interval = (-bound, bound)
    value, slope, both = GOLDEN[function, bound, degree]
    best = minimax(function, degree, interval)
    assert error(best, function) == pytest.approx(value, rel=5e-3)
    assert derivative_error(best, function) == pytest.approx(slope, rel=5e-3)
    fitted = c1(function, degree, interval)
    assert fitted.certificate.error == pytest.approx(both, rel=6e-3)
    assert max(error(fitted, function), derivative_error(fitted, function)) <= fitted.certificate.error
    assert 1 <= fitted.certificate.ratio < 1.001


@pytest.mark.parametrize("slope_weight", [0.2, 3.0])
@pytest.mark.parametrize("interval", [(-3.0, 5.0), (1.0, 2.5)])
def test_against_a_linear_program(interval, slope_weight):
    degree = 5
    unit = np.cos(np.linspace(0, np.pi, 800))
    start, stop = interval
    x = (start + stop) / 2 + (stop - start) / 2 * unit
    value = 1 / (1 + np.exp(-x))
    basis = chebvander(unit, degree)
    slopes = np.stack([Chebyshev(row, domain=interval).deriv()(x) for row in np.eye(degree + 1)[1:]], axis=1)
    slopes = np.column_stack([np.zeros(len(x)), slopes])
    rows = np.concatenate([basis, slope_weight * slopes])
    right = 1e4 * np.concatenate([value, slope_weight * value * (1 - value)])
    level = -np.ones((len(rows), 1))
    optimum = linprog(
        np.append(np.zeros(degree + 1), 1),
        A_ub=np.block([[rows, level], [-rows, level]]),
        b_ub=np.append(right, -right),
        bounds=[(None, None)] * (degree + 2),
        method="highs",
    ).fun
    fitted = c1("sigmoid", degree, interval, slope_weight=slope_weight)
    assert fitted.certificate.error == pytest.approx(optimum / 1e4, rel=2e-3)


def test_parity_and_disjoint_intervals():
    assert np.all(c1("tanh", 9, (-4, 4)).coefficients[::2] == 0)
    assert c1("sigmoid", 9, (-4, 4)).coefficients[0] == pytest.approx(0.5)
    apart = c1("sin", 6, ((-2, -1), (1, 3)))
    for piece in ((-2, -1), (1, 3)):
        x = np.linspace(*piece, 1001)
        p = Chebyshev(apart.coefficients, domain=(-2, 3))
        assert np.max(np.abs(p(x) - np.sin(x))) <= apart.certificate.error * (1 + 1e-9)
        assert np.max(np.abs(p.deriv()(x) - np.cos(x))) <= apart.certificate.error * (1 + 1e-9)


def test_small_slope_weight_approaches_minimax():
    best = minimax("silu", 6, (-4, 4)).certificate.error
    assert error(c1("silu", 6, (-4, 4), slope_weight=1e-4), "silu") == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("degree", [0, 1])
def test_lowest_degrees(degree):
    fitted = c1(jnp.exp, degree, (0, 1))
    # A constant has slope 0 and a line one slope: the derivative's error decides.
    assert fitted.certificate.error == pytest.approx(np.e if degree == 0 else (np.e - 1) / 2, rel=1e-6)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match="weight of the slope is finite and positive"):
        c1("relu", 3, (-1, 1), slope_weight=0)
    with pytest.raises(TypeError, match="weight of the slope is a real number"):
        c1("relu", 3, (-1, 1), slope_weight="1")
    with pytest.raises(ValueError, match="derivative of sqrt is not finite at 0"):
        c1("sqrt", 3, (0, 1))
    with pytest.raises(ValueError, match="empty or reversed"):
        c1("relu", 3, (1, -1))
