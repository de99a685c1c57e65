"""The table of the three ideas: counts by formula and by plan, and seconds from a file."""

import json

import pytest

from benchmarks import training_packings
from experiments import training_ideas


@pytest.mark.parametrize(("network", "batch"), [("3-2", 4), ("3-4-2", 6), ("2-3-2-2", 4)])
def test_the_formula_counts_what_is_planned(network, batch):
    options = training_packings.Arguments(
        network=network, batch=batch, momentum=0.0, insecure_log_degree=5, plan=True
    )
    found = training_packings.measure("sample-per-slot", options)
    assert training_ideas.key_switches(network, batch) == found["rotations"] + found["relinearisations"]


@pytest.mark.nightly
def test_a_step_is_called_and_timed():
    options = training_packings.Arguments(
        network="2-2", batch=4, momentum=0.0, insecure_log_degree=5, repeats=1
    )
    found = training_packings.measure("sample-per-slot", options)
    assert 0 < found["seconds"]["call"] < found["seconds"]["first call"]
    assert max(found["errors"]) < 0.1


def test_the_published_network_takes_what_the_papers_layout_takes():
    assert training_ideas.key_switches("64-32-16-10", 60) == 19_590


def test_seconds_come_from_a_measurement(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_ideas, "planned", lambda arguments: 195)
    path = tmp_path / "packings.json"
    rows = [
        {"packing": name, "seconds": {"call": value}}
        for name, value in (("tiles", 2.0), ("sample-per-slot", 100.0))
    ]
    measured = {"network": "64-32-16-10", "batch": 60, "rows": rows}
    path.write_text(json.dumps(measured))
    target = tmp_path / "ideas.json"
    found = training_ideas.main(training_ideas.Arguments(measured=path, json=target))
    assert [row["idea"] for row in found] == list(training_ideas.IDEAS)
    assert found[-1]["seconds"] == 2.0 and found[-2]["seconds"] == 100.0
    assert found[0]["seconds"] == pytest.approx(100 * found[0]["key_switches"] / 19_590)
    assert json.loads(target.read_text())["rows"] == found
    printed = capsys.readouterr().out
    assert "100.5x" in printed and "50.0x" in printed and max(map(len, printed.splitlines())) <= 100
    path.write_text(json.dumps(measured | {"network": "16-8-4"}))
    with pytest.raises(SystemExit, match="was measured on 16-8-4"):
        training_ideas.main(training_ideas.Arguments(measured=path))
    with pytest.raises(SystemExit, match="no result of"):
        training_ideas.main(training_ideas.Arguments(measured=tmp_path / "none"))
