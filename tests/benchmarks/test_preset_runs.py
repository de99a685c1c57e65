"""The benchmark of presets: which it runs, what it calls kept, and that its results are of these presets."""

import json

import numpy as np

from benchmarks.machine import RESULTS
from benchmarks.presets import Arguments, chosen, circuit, is_kept, row
from fhejax import ckks


def test_presets_are_chosen_by_name_or_degree():
    assert chosen(Arguments()) == list(ckks.parameters.PRESETS)
    small = chosen(Arguments(smallest=12, largest=13))
    assert len(small) == 12 and all("-n12-" in name or "-n13-" in name for name in small)
    assert chosen(Arguments(names=("one",))) == ["one"]


def test_a_lost_bit_is_noticed():
    record = {
        "predicted_bits": {"fresh": 20.0, "rotated": 16.0},
        "measured_bits": {"fresh": 20.1, "rotated": 15.8},
        "seconds": 1.0,
        "peak_bytes": 2**30,
    }
    assert is_kept(record)
    assert "fresh  20.0  20.1   rotated  16.0  15.8" in row("name", record)
    assert not is_kept(record | {"measured_bits": {"fresh": 20.1, "rotated": 0.7}})


def test_the_prediction_is_of_the_same_circuit():
    params = ckks.insecure_parameters(64, 1)
    found = circuit(None, ckks.estimate(params, np.linspace(-1, 1, 64)))
    assert found["fresh"].precision_bits > found["rotated"].precision_bits
    assert found["squared"].level == 0


def test_every_preset_was_run_for_real_and_kept_its_precision():
    """As it is now: with the same primes, of which the results keep number and size."""
    records = json.loads((RESULTS / "presets.json").read_text())["presets"]
    assert set(records) == set(ckks.parameters.PRESETS)
    for name, record in records.items():
        params = ckks.preset(name)
        assert is_kept(record), name
        assert record["limbs"] == [len(params.moduli), len(params.special)], name
        assert abs(record["log2_qp"] - params.modulus_bits) < 1e-6, name
