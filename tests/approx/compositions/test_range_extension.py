"""Folded intervals: accuracy at few products, and no growth beyond."""

import numpy as np
import pytest

from fhejax.approx import error, extend, minimax


@pytest.mark.parametrize("function, gated", [("sigmoid", False), ("tanh", False), ("gelu", True)])
def test_folds_reach_wide_intervals(function, gated):
    errors = [error(extend(function, 15, (-64, 64), stages=k, gated=gated), function) for k in (0, 1, 2, 3)]
    assert errors[3] < errors[2] < errors[1]
    assert errors[3] < error(minimax(function, 15, (-64, 64)), function) / 10


def test_costs_and_growth():
    p = extend("sigmoid", 15, (-64, 64), stages=3)
    assert p.depth == 3 * 2 + 4 and p.multiplications == 3 * 2 + 7 and p.degree == 27 * 15
    assert p.certificate.growth < 1.001 < 1e6 < minimax("sigmoid", 63, (-64, 64)).certificate.growth
    assert p.certificate.error < 1e-3


def test_no_fold_is_minimax_and_asymmetric_intervals_fold_about_their_middle():
    assert error(extend("exp", 5, (0, 2), stages=0), "exp") == pytest.approx(
        error(minimax("exp", 5, (0, 2)), "exp"), rel=1e-3
    )
    shifted = extend(lambda x: 1 / (1 + np.e ** (3 - x)), 15, (-37, 43), stages=2)
    centred = extend("sigmoid", 15, (-40, 40), stages=2)
    assert shifted.certificate.error == pytest.approx(centred.certificate.error, rel=1e-2)


def test_bad_input_is_refused_in_sentences():
    with pytest.raises(ValueError, match=r"between 1 and 2\.59, but 3"):
        extend("sigmoid", 7, (-8, 8), factor=3.0)
    with pytest.raises(ValueError, match="number of stages is at least 0"):
        extend("sigmoid", 7, (-8, 8), stages=-1)
