"""Pairs of whole programs: turns of two checkouts, and what is said of their times."""

import itertools
import types

import pytest

from benchmarks.program_pairs import Arguments, compare, geometric_mean, line, main


def side(*seconds):
    """A checkout that answers by these numbers of seconds in turn, the last of them for ever."""
    answers = itertools.chain(seconds, itertools.repeat(seconds[-1]))
    return types.SimpleNamespace(ask=lambda: next(answers))


def test_warm_calls_are_compared_without_the_first_one():
    found = compare([side(9, 2), side(7, 1)], 4)
    assert found["first"] == (9, 7)
    assert found["seconds"] == ([2] * 4, [1] * 4)
    assert (found["ratio"], found["low"], found["high"]) == pytest.approx((0.5, 0.5, 0.5))
    assert "2.00 -> 1.00 s warm, first 9.0 -> 7.0 s" in line("job", found)


def test_all_jobs_together_are_the_geometric_mean():
    jobs = [compare([side(1, 1), side(1, ratio)], 3) for ratio in (0.5, 2.0, 8.0)]
    assert geometric_mean(jobs)["ratio"] == pytest.approx(2.0)


def test_unknown_jobs_and_missing_data_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="'other'"):
        main(Arguments(tmp_path, jobs=("other",)))
    with pytest.raises(SystemExit, match="--data-dir"):
        main(Arguments(tmp_path, jobs=("mlp",)))


def test_a_folder_that_is_no_checkout_ends_its_process(tmp_path):
    with pytest.raises((RuntimeError, BrokenPipeError)):
        main(Arguments(tmp_path, jobs=("regression",), rounds=2))
