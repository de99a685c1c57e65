"""The regression experiment from data to table, in a small ring without security."""

import dataclasses
import json

import numpy as np
import pytest

from experiments import regression


@pytest.mark.parametrize("loss", ["logistic", "linear"])
def test_data_and_clear_training(loss):
    arguments = regression.Arguments(loss=loss, steps=4)
    data = regression.load_data(512, 6)
    assert data.train[0].shape == (512, 6) and data.test[0].shape == (57, 6)
    assert np.abs(data.train[0]).max() == 1 and set(data.train[1]) == {0, 1}
    model = {"weights": np.zeros(6, np.float32), "bias": np.zeros((), np.float32)}
    models = regression.training(arguments)(model, *data.train)
    assert regression.correct(models[1], *data.train) > 460
    assert regression.correct(models[-1], *data.test) > 50


@pytest.mark.nightly
def test_the_whole_experiment(tmp_path, capsys):
    arguments = regression.Arguments(
        loss="linear",
        samples=60,
        features=3,
        json=tmp_path / "regression.json",
        cache=None,
        repeats=1,
        insecure_log_degree=6,
    )
    results = regression.main(arguments)
    assert len(results["steps"]) == 2
    for step in results["steps"]:
        assert step["measured_error"] < 4 * step["predicted_error"] < 0.01
        assert step["correct_clear"] == pytest.approx(step["correct_encrypted"], abs=5)
    assert list(results["seconds"]) == ["compile", "keys", "encrypt", "evaluate", "decrypt"]
    assert results["seconds"]["evaluate"]["calls"] == 2
    assert json.loads(arguments.json.read_text()) == results
    printed = capsys.readouterr().out
    assert "INSECURE" in printed.split("steps")[0]
    assert "Linear regression: 60 tumours, 3 components, 2 steps" in printed
    assert max(map(len, printed.split("Linear regression")[1].splitlines())) <= 100


CARRIED = regression.Arguments(
    loss="linear",
    samples=30,
    features=2,
    steps=1,
    calls=3,
    cache=None,
    precision_bits=6,
    insecure_log_degree=6,
)


@pytest.mark.nightly
def test_the_weights_of_one_call_are_arguments_of_the_next(capsys):
    results = regression.main(CARRIED)
    assert len(results["steps"]) == 3
    assert results["seconds"]["evaluate"]["calls"] == 3
    for step in results["steps"]:
        assert step["measured_error"] < max(4 * step["predicted_error"], 1e-5)
    assert "INSECURE" in capsys.readouterr().out


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_run_that_was_stopped_ends_with_the_same_ciphertexts(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    arguments = dataclasses.replace(CARRIED, folder=folder)
    whole = regression.main(arguments)
    calls = [folder / f"call-{number:04}.fhe" for number in (1, 2, 3)]
    written = [path.read_bytes() for path in calls]
    for path in calls[1:]:
        path.unlink()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fhejax.save", killed)
    with pytest.raises(KeyboardInterrupt):
        regression.main(arguments)
    monkeypatch.undo()
    assert regression.main(arguments)["steps"] == whole["steps"]
    assert [path.read_bytes() for path in calls] == written
    with pytest.raises(SystemExit, match="a run of another program"):
        regression.main(dataclasses.replace(arguments, rate=0.3))


@pytest.mark.parametrize(
    "wrong", [{"calls": 0}, {"samples": 569}, {"features": 0}, {"steps": 9}, {"repeats": -1}]
)
def test_what_cannot_be_run_is_refused_at_once(wrong):
    with pytest.raises(SystemExit, match="it must be from"):
        regression.main(regression.Arguments(cache=None, **wrong))


def test_a_missing_folder_is_found_before_training(tmp_path):
    arguments = regression.Arguments(json=tmp_path / "missing" / "regression.json", cache=None)
    with pytest.raises(SystemExit, match="no folder"):
        regression.main(arguments)
