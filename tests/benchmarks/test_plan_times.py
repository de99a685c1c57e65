"""The benchmark of planning: what it plans, and what it refuses."""

import numpy as np
import pytest

from benchmarks.plan_times import FUNCTIONS, Arguments, main, quadratic_layers


def test_seconds_of_a_function_are_told(capsys):
    name = "polynomial of degree 15"
    (found,) = main(Arguments((name,))).values()
    assert 0 < found["again"] < 60 and found["at most"] == FUNCTIONS[name][1]
    assert name in capsys.readouterr().out


def test_layers_keep_values_below_one():
    network, argument = quadratic_layers()
    assert np.abs(network(np.random.default_rng(0).uniform(-1, 1, argument.shape))).max() <= 1


def test_unknown_functions_are_refused():
    with pytest.raises(SystemExit, match="'none'"):
        main(Arguments(("none",)))
