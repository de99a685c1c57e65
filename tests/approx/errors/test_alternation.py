"""The choice of points of alternating sign."""

import itertools

import numpy as np
import pytest

from fhejax.approx.errors.alternation import alternation_ratio, local_maxima, peaks, select


@pytest.mark.parametrize("seed", range(20))
def test_selection_keeps_the_largest_and_the_largest_smallest(seed):
    generator = np.random.default_rng(seed)
    errors = generator.uniform(0.1, 1, 11) * (-1.0) ** np.arange(11)
    for count in (2, 3, 5, 8, 10, 11):
        chosen = select(errors, count)
        signs = np.sign(errors[chosen])
        assert len(chosen) == count and np.all(np.diff(chosen) > 0) and np.all(signs[1:] != signs[:-1])
        assert np.max(np.abs(errors[chosen])) == np.max(np.abs(errors))
        alternating = (
            np.array(trial)
            for trial in itertools.combinations(range(11), count)
            if np.all(np.diff(trial) % 2 == 1)
        )
        best = max(np.min(np.abs(errors[trial])) for trial in alternating)
        # Nothing is lost but where the largest has to stay at the price of another end.
        assert np.min(np.abs(errors[chosen])) == best or len(errors) - count == 1


def test_peaks_and_maxima():
    errors = np.array([1.0, 3.0, 2.0, 4.0, -1.0, -5.0, -5.0, 2.0])
    assert peaks(errors).tolist() == [3, 5, 7]
    assert local_maxima(np.abs(errors)).tolist() == [1, 3, 5]
    assert local_maxima(np.array([2.0, 1.0, 3.0])).tolist() == [0, 2]


def test_ratio_of_too_few_runs_is_infinite():
    assert alternation_ratio(np.array([1.0, -2.0, 1.0]), 3) == 2
    assert alternation_ratio(np.array([1.0, 2.0, 1.0]), 2) == np.inf
