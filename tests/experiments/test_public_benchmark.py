"""The stages of the public benchmark on a tiny network: what they exchange are files alone."""

import dataclasses
import importlib
import json
import sys

import numpy as np
import pytest

from experiments.public_benchmark import run, workloads
from experiments.public_benchmark.folders import Folders
from experiments.public_benchmark.stage import Arguments


def in_this_process(command):
    """A stage run here, with the options of its command line."""
    module, size, *options = command
    given = dict(zip(options[::2], options[1::2], strict=True))
    arguments = Arguments(int(size), io=run.Path(given["--io"]), workload=given["--workload"], cache=None)
    importlib.import_module(module).main(arguments)


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_all_stages_one_after_another(tmp_path, capsys):
    arguments = run.Arguments(0, io=tmp_path, workload="tiny", cache=None, json=tmp_path / "run.json")
    results = run.main(arguments, in_this_process)
    experiment = workloads.experiment_of("tiny", None)
    clear = np.asarray(experiment.network(experiment.preparation(experiment.images[:1])))
    found = np.load(tmp_path / "0" / "intermediate" / "logits.npy")
    np.testing.assert_allclose(found, clear, atol=0.05 * np.abs(clear).max())
    assert json.loads((tmp_path / "run.json").read_text()) == results
    assert results["images"] == 1 and results["right"] == int(clear.argmax() == experiment.labels[0])
    assert len(results["evaluation_seconds"]) == 1
    assert tuple(results["seconds"]) == run.STAGES
    assert all(results["bytes"].values())
    printed = capsys.readouterr().out
    assert "tiny WITHOUT ANY SECURITY" in printed and "993.95 s" in printed and "31.80 GB" in printed
    assert max(map(len, printed.splitlines())) <= 100


def test_a_stage_without_the_one_before_says_which(tmp_path):
    for stage in ("client_key_generation", "client_preprocess_input", "client_postprocess"):
        module = importlib.import_module(f"experiments.public_benchmark.{stage}")
        with pytest.raises(SystemExit, match="is missing, which"):
            module.main(Arguments(0, io=tmp_path, workload="tiny"))


def test_a_size_that_there_is_not_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="size 4 was asked for"):
        Folders(tmp_path, 4)
    assert [Folders(tmp_path, size).count for size in range(4)] == [1, 100, 1000, 10_000]


def test_a_stage_that_fails_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "STAGES", ("nothing_of_this_name",))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SystemExit, match=r"nothing_of_this_name failed"):
        run.main(run.Arguments(0, io=tmp_path, workload="tiny"))


def test_options_go_on_to_every_stage(tmp_path):
    arguments = run.Arguments(1, io=tmp_path, data_dir=tmp_path / "cifar", cache=None)
    words = run.options(arguments)
    assert words[0] == "1" and "--data-dir" in words
    assert dict(zip(words[1::2], words[2::2], strict=True))["--cache"] == "None"
    assert dataclasses.fields(arguments)
