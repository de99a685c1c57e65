"""The digits experiment from training to the picture, in a small ring without security."""

import json

import matplotlib.image
import numpy as np
import pytest

from experiments import digits, picture


def test_the_whole_experiment(tmp_path, capsys):
    arguments = digits.Arguments(
        plot=tmp_path / "digits.png",
        json=tmp_path / "digits.json",
        cache=None,
        repeats=1,
        epochs=8,
        insecure_log_degree=9,
    )
    results = digits.main(arguments)
    assert results["images"] == 500 and results["correct_clear"] > 450
    assert abs(results["correct_encrypted"] - results["correct_clear"]) <= 500 - results["agreeing"]
    assert results["agreeing"] >= 495
    assert 0 < results["largest_error"] < 0.01 * results["largest_logit"]
    stages = ["train", "compile", "keys", "encrypt", "expand", "evaluate", "decrypt", "verify"]
    assert list(results["seconds"]) == stages
    assert json.loads(arguments.json.read_text()) == results
    height, width, _ = matplotlib.image.imread(arguments.plot).shape
    assert min(height, width) > 500
    printed = capsys.readouterr().out
    assert "INSECURE" in printed.split("steps")[0]  # the program's report
    assert "INSECURE" in printed.split("steps")[1]  # the table
    assert "128 bits" not in printed
    assert f"{results['correct_encrypted']} of 500" in printed
    assert max(map(len, printed.split("500 test images")[1].splitlines())) <= 100


def test_the_pictures_last_images_are_mistakes():
    labels = np.arange(100) % 10
    found = labels.copy()
    found[[3, 50]] = 11
    chosen = picture.chosen(labels, found)
    assert len(chosen) == picture.SHOWN
    assert chosen[-2:].tolist() == [3, 50]
    assert (found[chosen[:-2]] == labels[chosen[:-2]]).all()


def test_a_missing_folder_is_found_before_training(tmp_path):
    arguments = digits.Arguments(plot=tmp_path / "missing" / "digits.png", cache=None)
    with pytest.raises(SystemExit, match="no folder"):
        digits.main(arguments)
