"""Predicted precision, for numbers of any size."""

import numpy as np
import pytest

from fhejax.program.levels.precision_prediction import root_mean_square


@pytest.mark.parametrize("size", [1e-200, 1e-9, 1.0, 2.0**50, 1e200])
def test_root_mean_squares_of_numbers_of_any_size(size):
    values = size * np.array([[3.0, -4.0], [0.0, 5.0]])
    assert root_mean_square(values) == pytest.approx(size * np.sqrt(50 / 4), rel=1e-12)


def test_root_mean_squares_of_numbers_that_have_none():
    assert root_mean_square(np.zeros(3)) == 0
    assert root_mean_square(np.array([1.0, -np.inf])) == np.inf
    assert np.isnan(root_mean_square(np.array([1.0, np.nan])))
