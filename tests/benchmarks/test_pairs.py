"""Interleaved pairs: the interval, and a checkout's process that answers."""

import numpy as np
import pytest

from benchmarks.pairs import Checkout, interval, started


def test_the_interval_holds_the_median_and_narrows():
    ratios = np.random.default_rng(0).normal(1.2, 0.1, 200)
    median, low, high = interval(ratios)
    assert low < median < high
    assert abs(median - 1.2) < 0.03
    assert high - low < 0.06
    few = interval(ratios[:10])
    assert few[2] - few[1] > high - low
    assert interval(np.full(5, 0.9)) == pytest.approx((0.9, 0.9, 0.9))


def test_a_folder_that_is_no_checkout_is_said_to_have_ended(tmp_path):
    checkout = started(tmp_path)
    assert isinstance(checkout, Checkout)
    with pytest.raises((RuntimeError, BrokenPipeError)):
        checkout.ask(degree=13)
    checkout.end()
