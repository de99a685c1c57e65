"""The benchmark of rotations: its pairs, its interval and its table."""

import numpy as np

from benchmarks import rotation


def test_both_calls_take_turns_at_being_first():
    order = []
    samples = rotation.take_pairs(lambda: order.append("a"), lambda: order.append("b"), 3)
    assert "".join(order) == "abbaab"
    assert samples.shape == (3, 2)
    assert (samples > 0).all()


def test_the_interval_holds_the_ratio():
    second = np.random.default_rng(1).uniform(1, 2, 100)
    first = 0.5 * second * np.random.default_rng(2).normal(1, 0.1, 100)
    ratio, low, high = rotation.ratio_interval(np.stack([first, second], 1))
    assert low < ratio < high
    assert low < 0.5 < high
    assert high - low < 0.06


def test_the_table_has_a_column_for_each_degree(capsys):
    column = {"rotation to multiplication": (0.5, 0.4, 0.6), "milliseconds": {"rotation": 1.25}}
    rotation.print_table({"2^13": column, "2^14": column})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["2^13", "2^14"]
    assert lines[1].count("0.50 (0.40 to 0.60)") == 2
    assert lines[2].split() == ["rotation,", "ms", "1.250", "1.250"]
