"""The comparison of CKKS operations: its sets, turns, checks and sums; no peer is needed."""

import dataclasses

import numpy as np
import pytest

from benchmarks import ckks as benchmark
from benchmarks import ckks_summary
from benchmarks.peers import serving
from benchmarks.peers.serving import COUNTED, OPERATIONS, SETTINGS, Setting, Side

SMALL = Setting(256, 2, 50, 53, digits=3, digit_size=2, insecure=True)
LIMITS = {13: 214, 14: 430, 15: 868}


@pytest.fixture(scope="module")
def ours():
    return benchmark.our_side(SMALL)


@pytest.mark.parametrize("log_degree", sorted(SETTINGS))
def test_our_sets_are_inside_the_table(log_degree):
    setting = SETTINGS[log_degree]
    params = benchmark.parameters(setting)
    assert setting.degree == params.ring.degree == 2**log_degree
    assert params.slots == setting.slots == 2 ** (log_degree - 1)
    assert params.security == 128
    assert params.modulus_bits <= LIMITS[log_degree]
    assert params.depth == setting.depth
    assert params.scales[-1].bits == setting.scale_bits


@pytest.mark.nightly
def test_every_operation_is_right_on_our_side(ours):
    side, first_use = ours
    bits = serving.check(side)
    assert set(bits) <= set(OPERATIONS)
    assert set(COUNTED) - {"rotate", "rotate 8, hoisted"} <= set(bits)
    assert all(30 < value < 55 for value in bits.values())
    assert {"secret key", "public key", "evaluation keys", "encode", "encrypt", "multiply"} <= set(first_use)


def test_a_wrong_result_is_refused(ours):
    side, _ = ours
    wrong = dataclasses.replace(side, expected=side.expected | {"add": side.expected["multiply"]})
    with pytest.raises(AssertionError, match="add"):
        serving.check(wrong)


def test_a_result_that_is_not_a_number_is_refused():
    side = Side({"add": lambda: np.array([np.nan])}, lambda _name, result: result, {"add": np.ones(1)})
    with pytest.raises(AssertionError, match="add"):
        serving.check(side)


def test_bits_of_precision():
    expected = np.zeros(4)
    assert serving.bits_of_precision(expected + 2.0**-20, expected) == 20
    assert serving.bits_of_precision(np.array([2.0**-19, 0, 0, 0]), expected) == 20
    with pytest.raises(AssertionError, match="shape"):
        serving.bits_of_precision(np.zeros(3), expected)


def test_expected_values_are_those_of_the_operations():
    x, y = serving.inputs(16)
    expected = serving.expected_values(16)
    assert set(expected) == set(OPERATIONS) - {"sigmoid"}
    np.testing.assert_array_equal(expected["rotate"], np.concatenate([x[1:], x[:1]]))
    np.testing.assert_array_equal(expected["rotate 8, hoisted"][7], np.concatenate([x[8:], x[:8]]))
    np.testing.assert_array_equal(expected["multiply"], x * y)


def test_sigmoid_values_are_those_of_the_series():
    x = serving.sigmoid_input(64)
    found, error = serving.sigmoid_values([0.5, 0.25], 64)
    np.testing.assert_allclose(found, 0.5 + 0.25 * x / 8)
    np.testing.assert_allclose(error, np.abs(found - [serving.sigmoid(t) for t in x]).max())
    assert serving.sigmoid_values(benchmark.sigmoid_polynomial().coefficients, 64)[1] < 1e-5


def test_time_calls_skips_the_first_and_calls_once_at_least():
    calls = []
    assert serving.time_calls(lambda: calls.append(0), 0.0) < 1
    assert len(calls) == 2


def test_sides_take_turns():
    order = []
    sides = {
        name: lambda _operation, name=name: order.append(name) or len(order) for name in ("ours", "peer")
    }
    samples = benchmark.take_turns(sides, "add", 3)
    assert order == ["ours", "peer"] * 3
    assert samples == {"ours": [1, 3, 5], "peer": [2, 4, 6]}


def record(ours=1.0, one=4.0, two=2.0, precise=True):
    samples = {"fhejax": [ours] * 3, "OpenFHE, 1 thread": [one] * 3, "OpenFHE, 2 threads": [two] * 3}
    bits = {name: {"add": 30.0} for name in samples} | {"fhejax": {"add": 30.0 if precise else 29.0}}
    return benchmark.compared(samples, bits, "add")


def test_the_ratio_is_to_the_better_number_of_threads():
    assert record()["ratio"] == 0.5
    assert record()["openfhe_best"] == "OpenFHE, 2 threads"
    assert record(one=1.0)["ratio"] == 1.0
    assert record()["precise"]
    assert not record(precise=False)["precise"]


def test_an_operation_that_one_side_lacks_has_no_ratio():
    assert "ratio" not in benchmark.compared({"fhejax": [1.0]}, {"fhejax": {"add": 30.0}}, "add")
    alone = {"OpenFHE, 1 thread": [1.0]}
    assert "ratio" not in benchmark.compared(alone, {"OpenFHE, 1 thread": {"add": 30.0}}, "add")


def test_summary_has_the_geometric_mean_the_worst_and_what_is_missing():
    operations = {
        "add": record(ours=4.0),
        "encrypt": record(ours=1.0, precise=False),
        "encode": record(ours=9),
    }
    total = ckks_summary.summary({"2^13": {"operations": operations}})
    assert total["geometric_mean"] == pytest.approx(1.0)
    assert total["worst"] == {"operation": "add, 2^13", "ratio": 2.0}
    assert total["less_precise"] == ["encrypt, 2^13"]
    assert len(total["missing"]) == len(COUNTED) - 2


def test_runs_together_have_an_interval_for_every_ratio(capsys):
    runs = [{"2^13": {"operations": {"add": record(ours=ours)}}} for ours in (1.0, 4.0)]
    found = ckks_summary.over_runs([ckks_summary.summary(run) for run in runs])
    assert found["runs"] == 2
    assert found["ratios"]["add, 2^13"]["ratio"] == pytest.approx(1.0)
    assert found["geometric_mean"]["low"] < 1.0 < found["geometric_mean"]["high"]
    ckks_summary.print_runs(found)
    assert "add, 2^13" in capsys.readouterr().out


def test_a_side_beyond_the_table_is_refused():
    def sides(bits, degree=8192):
        return {"peer": {"ring_dimension": degree, "log2_qp": bits}}

    assert benchmark.check_security(SETTINGS[13], sides(214.0)) == 214
    assert benchmark.check_security(SMALL, sides(999.0)) is None
    with pytest.raises(ValueError, match=r"peer has N = 8192 and log2 QP = 218\.0"):
        benchmark.check_security(SETTINGS[13], sides(218.0))
    with pytest.raises(ValueError, match="N = 16384"):
        benchmark.check_security(SETTINGS[13], sides(100.0, degree=16384))


def test_a_run_without_peers_prints_its_table(capsys):
    arguments = benchmark.Arguments(repeats=1, seconds=0.0, operations=("add", "sigmoid"))
    result = benchmark.measure(dataclasses.replace(SMALL, sigmoid=False), arguments, {})
    benchmark.print_degree("2^8", result)
    assert set(result["operations"]) == {"add"}
    printed = capsys.readouterr().out
    assert "add" in printed and "first use" in printed
