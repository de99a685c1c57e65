"""Linear minimax against scipy's solver, on dense and degenerate problems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from fhejax.approx.implicit.linear_exchange import exchange
from fhejax.approx.remez.linear_minimax import linear_minimax


def optimum(matrix, right):
    level = -np.ones((len(right), 1))
    return linprog(
        np.append(np.zeros(matrix.shape[1]), 1),
        A_ub=np.block([[matrix, level], [-matrix, level]]),
        b_ub=np.append(right, -right),
        bounds=[(None, None)] * (matrix.shape[1] + 1),
        method="highs",
    ).fun


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("columns", [1, 3, 12])
def test_random_problems(seed, columns):
    generator = np.random.default_rng(seed)
    matrix, right = generator.normal(size=(120, columns)), generator.normal(size=120)
    found = linear_minimax(matrix, right)
    expected = optimum(matrix, right)
    assert found.error == pytest.approx(expected, rel=1e-7)
    assert found.level == pytest.approx(expected, rel=1e-7)
    assert np.max(np.abs(right - matrix @ found.solution)) == pytest.approx(found.error, rel=1e-12)
    with jax.enable_x64(True):
        index, signs, inverse = jax.jit(exchange)(jnp.asarray(matrix), jnp.asarray(right))
    solution = np.asarray(inverse) @ (np.asarray(signs) * right[np.asarray(index)])
    assert solution[-1] == pytest.approx(expected, rel=1e-7)
    assert np.allclose(solution[:-1], found.solution, atol=1e-9)


def test_degenerate_and_exact_problems():
    generator = np.random.default_rng(9)
    matrix = np.repeat(generator.normal(size=(40, 4)), 3, axis=0)
    right = np.repeat(np.sign(generator.normal(size=40)), 3)
    assert linear_minimax(matrix, right).error == pytest.approx(optimum(matrix, right), rel=1e-7)
    exact = matrix @ np.arange(4.0)
    found = linear_minimax(matrix, exact)
    assert found.error < 1e-12 and np.allclose(found.solution, np.arange(4.0))


def test_more_largest_errors_than_unknowns():
    # All errors of the optimum are 1, where exchanges of single rows stall.
    points = np.linspace(0, 1, 400)
    matrix, right = np.cos(np.outer(points, np.arange(40))), np.sign(np.sin(600 * points))
    found = linear_minimax(matrix, right)
    assert found.error == pytest.approx(1, rel=1e-6) and found.level == pytest.approx(1, rel=1e-6)


def test_small_errors_keep_their_digits():
    points = np.cos(np.linspace(0, np.pi, 500))
    matrix = np.polynomial.chebyshev.chebvander(points, 5)
    ripple = np.polynomial.chebyshev.chebval(points, np.eye(7)[6])
    found = linear_minimax(matrix, matrix @ np.ones(6) + 1e-9 * ripple)
    assert found.error == pytest.approx(1e-9, rel=1e-6) and found.level == pytest.approx(1e-9, rel=1e-6)


def test_dependent_columns_are_refused():
    with pytest.raises(ValueError, match="do not determine them"):
        linear_minimax(np.ones((9, 2)), np.arange(9.0))
