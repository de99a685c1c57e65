"""The regression experiment from data to table, in a small ring without security."""

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


@pytest.mark.parametrize("wrong", [{"samples": 569}, {"features": 0}, {"steps": 9}, {"repeats": -1}])
def test_what_cannot_be_run_is_refused_at_once(wrong):
    with pytest.raises(SystemExit, match="it must be from"):
        regression.main(regression.Arguments(cache=None, **wrong))


def test_a_missing_folder_is_found_before_training(tmp_path):
    arguments = regression.Arguments(json=tmp_path / "missing" / "regression.json", cache=None)
    with pytest.raises(SystemExit, match="no folder"):
        regression.main(arguments)
