"""The bootstrapping experiment, its numbers against independent ones, in a small insecure ring."""

import dataclasses
import json
import math

import jax
import matplotlib.image
import numpy as np
import pytest

from experiments import bootstrapping, bootstrapping_plan, pipeline
from experiments.bootstrapping_stages import STAGES, staged_bootstrap
from fhejax import ckks
from fhejax.ckks.bootstrapping import BootstrappingKeys, BootstrappingOptions, bootstrapping_circuit

TABLE_WIDTH = 100
# A secret of weight 2 takes a short polynomial; slots that repeat themselves take a trace.
OPTIONS = BootstrappingOptions(
    hamming_weight=2, double_angles=1, coefficients_to_slots=1, slots_to_coefficients=1
)
CHAIN = 4


@pytest.fixture(scope="module")
def chosen():
    return ckks.BootstrappingParameters.for_levels(1, degree=2**9, slots=2**6, insecure=True, options=OPTIONS)


@pytest.fixture(scope="module")
def circuit(chosen):
    return bootstrapping_circuit(chosen)


@pytest.fixture(scope="module")
def secret_and_keys(circuit):
    return bootstrapping.make_keys(circuit)


def root_mean_square(error):
    parts = np.concatenate([error.real.ravel(), error.imag.ravel()])
    return np.sqrt(np.mean(parts**2))


@pytest.mark.nightly
def test_the_stages_give_the_bits_of_a_bootstrap(chosen, secret_and_keys):
    secret, keys = secret_and_keys
    values = bootstrapping.make_inputs(chosen).values
    ciphertext = bootstrapping.encrypt(secret, chosen, values)
    called = []

    def timed(name, function, *arguments):
        called.append(name)
        return function(*arguments)

    staged, whole = staged_bootstrap(timed, keys, ciphertext), ckks.bootstrap(keys, ciphertext)
    assert tuple(called) == STAGES
    assert (staged.level, staged.scale) == (whole.level, whole.scale)
    np.testing.assert_array_equal(staged.data, whole.data)


@pytest.mark.nightly
def test_bytes_of_matrices_and_keys_are_what_is_made(chosen, circuit, secret_and_keys):
    found = bootstrapping_plan.memory_needed(chosen)
    assert found["matrices"] == circuit.nbytes
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(secret_and_keys[1])) - circuit.nbytes
    assert found["keys"] == pytest.approx(held, rel=0.02)
    assert found["needed"] > found["keys"] + found["matrices"] + found["bootstrap"]


@pytest.mark.parametrize("levels, scale_bits", [(13, 40), (9, 45), (5, 55)])
def test_bits_of_levels_make_up_the_modulus(levels, scale_bits):
    secure = ckks.BootstrappingParameters.for_levels(levels, scale_bits=scale_bits)
    found = bootstrapping_plan.describe(secure)
    rows = found["level_bits"]
    assert sum(row["bits"] for row in rows) == pytest.approx(secure.params.modulus_bits, abs=1e-6)
    counts = [sum(row["kind"] == kind for row in rows) for kind in bootstrapping_plan.KINDS]
    assert counts == [1, 3, levels, 8, 4, 1]
    users = [row["bits"] for row in rows if row["kind"] == "user levels"]
    assert all(abs(bits - scale_bits) < 1 for bits in users)
    assert found["log2_modulus"] <= found["log2_modulus_limit"] == 1746
    # Of 33 uniform numbers on (0, 1) the sum is beyond 32.5 with probability 2^-33 / 33!.
    tail = -33 - math.log2(math.factorial(33)) + 1 + 16
    assert found["failure_probability_log2"] == pytest.approx(tail, abs=1e-9)


def test_the_chain_stays_in_its_disc_and_away_from_zero(chosen):
    inputs = bootstrapping.make_inputs(chosen)
    orbit = bootstrapping.clear_chain(inputs, 40)
    assert len(orbit) == 40 and max(abs(z).max() for z in orbit) <= 0.5
    fixed = (1 - np.sqrt(1 - 4 * inputs.constant)) / 2  # of z -> z^2 + c, the attracting one
    assert np.median(abs(orbit[-1] - fixed)) < 1e-9
    assert np.median(abs(fixed)) > 0.1
    assert bootstrapping.clear_chain(inputs, 0) == []
    for row in dataclasses.astuple(inputs):
        np.testing.assert_array_equal(row[:64], row[64:128])


def test_bits_and_histogram():
    expected = np.zeros(4, np.complex128)
    found = np.array([2**-10 + 1j * 2**-20, 2**-10, -(2**-20), 1j * 2**-10])
    row = bootstrapping.bits(found + 2**-30 * (1 + 1j), expected)
    rms = math.sqrt((3 * 2**-20 + 2 * 2**-40) / 8)
    assert row["mean"] == pytest.approx(-math.log2(rms), abs=1e-3)
    assert row["worst"] == pytest.approx(10, abs=1e-3) and row["best"] == pytest.approx(30, abs=1e-3)
    counted = bootstrapping.histogram(expected, found, found / 2)
    bits = dict(zip(counted["edges"], counted["measured"], strict=False))
    halved = dict(zip(counted["edges"], counted["predicted"], strict=False))
    assert (bits[10], bits[20], bits[60]) == (3, 2, 3)
    assert (halved[11], halved[21], halved[60]) == (3, 2, 3)
    assert sum(counted["measured"]) == sum(counted["predicted"]) == 8


@pytest.mark.nightly
def test_the_whole_experiment(chosen, tmp_path, capsys):
    arguments = bootstrapping.Arguments(
        chain=CHAIN,
        repeats=1,
        plot=tmp_path / "bootstrapping.png",
        json=tmp_path / "bootstrapping.json",
        cache=None,
    )
    results = bootstrapping.run(chosen, arguments)
    for row in ({k: results["precision"][k] for k in ("measured", "predicted")}, *results["chain"]):
        assert row["measured"]["mean"] == pytest.approx(row["predicted"]["mean"], abs=0.5)
        assert row["measured"]["worst"] == pytest.approx(row["predicted"]["worst"], abs=1.5)
        assert row["measured"]["worst"] < row["measured"]["mean"] < row["measured"]["best"]
    # The error of the sine is the least there can be: of x^3 (2 pi / 2^15)^2 / 6, root mean square.
    sine = (math.tau / 2**15) ** 2 / 6 / math.sqrt(7)
    assert 20 < results["precision"]["measured"]["mean"] < -math.log2(sine) + 0.3
    assert len(results["chain"]) == CHAIN
    assert results["parameters"]["levels"] == {"all": chosen.params.depth, "before": 1, "after": 2, "left": 1}
    assert {*STAGES, "matrices", "predict", "keys", "chain"} < set(results["seconds"])
    assert json.loads(arguments.json.read_text()) == results
    assert min(matplotlib.image.imread(arguments.plot).shape[:2]) > 500
    printed = capsys.readouterr().out
    assert "INSECURE" in printed and "128 bits" not in printed
    assert max(map(len, printed[: printed.index("The picture")].splitlines())) <= TABLE_WIDTH
    before = printed.index("memory needed"), printed.index("bits of precision")
    assert before == tuple(sorted(before))
    assert f"{results['precision']['measured']['mean']:.1f}" in printed


def test_a_prediction_is_a_draw_of_the_measured_error(chosen, circuit, secret_and_keys):
    """Against the estimate itself, and the clear run: no mean is used twice."""
    inputs, blank = bootstrapping.make_inputs(chosen), BootstrappingKeys(circuit)
    drawn = bootstrapping.predict(circuit, inputs, 0)
    assert drawn.chain == []
    fresh = ckks.estimate(chosen.params, inputs.values, level=chosen.input_level)
    estimate = ckks.bootstrap(blank, fresh)
    variance = np.mean(estimate.deviation**2) + root_mean_square(estimate.values - inputs.values) ** 2
    drawn_variance = root_mean_square(drawn.values - inputs.values) ** 2
    assert drawn_variance == pytest.approx(variance, rel=0.25)


def test_too_little_memory_is_found_before_keys_are_made(chosen, monkeypatch, capsys):
    monkeypatch.setattr(bootstrapping_plan, "machine_memory", lambda: 10**6)
    monkeypatch.setattr(bootstrapping, "make_keys", None)
    needed = bootstrapping_plan.memory_needed(chosen)["needed"]
    with pytest.raises(SystemExit, match=f"about {needed:,} bytes of memory, and the machine has 1,000,000"):
        bootstrapping.run(chosen, bootstrapping.Arguments(cache=None))
    assert "memory needed" in capsys.readouterr().out


def test_memory_of_a_container_counts(tmp_path, monkeypatch):
    installed = bootstrapping_plan.machine_memory()
    limits = tmp_path / "limited", tmp_path / "unlimited", tmp_path / "missing"
    limits[0].write_text("123456\n")
    limits[1].write_text("max\n")
    monkeypatch.setattr(bootstrapping_plan, "LIMITS", limits[1:])
    assert bootstrapping_plan.machine_memory() >= installed > 10**8
    monkeypatch.setattr(bootstrapping_plan, "LIMITS", limits)
    assert bootstrapping_plan.machine_memory() == 123456


@pytest.mark.nightly
def test_other_bits_of_the_stages_are_refused(chosen, circuit, secret_and_keys, monkeypatch):
    def wrong(timed, keys, ciphertext):
        found = ckks.bootstrap(keys, ciphertext)
        return found.replace(data=found.data.at[0, 0, 0].add(1))

    monkeypatch.setattr(bootstrapping, "staged_bootstrap", wrong)
    monkeypatch.setattr(bootstrapping, "make_keys", lambda circuit: secret_and_keys)
    inputs = bootstrapping.make_inputs(chosen)
    with pipeline.stages(9) as timed, pytest.raises(SystemExit, match="other bits"):
        bootstrapping.measure(circuit, inputs, bootstrapping.Arguments(repeats=1), timed)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"insecure_log_degree": 20}, "from 5 to 14"),
        ({"log_slots": -1}, "0 or more"),
        ({"log_slots": 16}, "power of two from 1 to 32768"),
        ({"chain": -1}, "0 or more, and 1 or more"),
        ({"repeats": 0}, "0 or more, and 1 or more"),
        ({"chain": 2, "levels": 0}, "leaves no level"),
        ({"levels": 30}, "at most 1746 are secure"),
        ({"log_degree": 15}, "at most 868 are secure"),
        ({"levels": -1}, "levels=-1 was asked for"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(wrong, message):
    with pytest.raises(SystemExit, match=message):
        bootstrapping.main(bootstrapping.Arguments(cache=None, **wrong))


@pytest.mark.parametrize("option", ["plot", "json"])
def test_a_missing_folder_is_found_at_once(tmp_path, option):
    arguments = bootstrapping.Arguments(cache=None, **{option: tmp_path / "missing" / "file"})
    with pytest.raises(SystemExit, match="no folder"):
        bootstrapping.main(arguments)
