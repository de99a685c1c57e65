"""CryptoDL's study and its encrypted run, on a few synthetic images."""

import json

import numpy as np
import pytest
from flax import nnx

from experiments import cryptodl
from fhejax import nn


@pytest.fixture
def dataset(monkeypatch):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 300, np.int32)
    images = 0.1 * generator.random((300, 28, 28, 1), np.float32)
    images[np.arange(300), 2 * labels + 3, :, 0] = 1  # a line whose height tells the digit
    dataset = nn.Dataset(images, labels, images[:64], labels[:64])
    monkeypatch.setattr(nn, "load_mnist", lambda folder: dataset)
    return dataset


def test_the_study_compares_all_methods(dataset, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cryptodl, "SETTINGS", ((2, 4.0),))
    path = tmp_path / "study.json"
    options = {"study": True, "encrypt": False, "study_images": 256, "study_epochs": 1, "study_json": path}
    found = cryptodl.main(cryptodl.Arguments(**options))["study"]
    rows = {row["method"]: row for row in found["rows"]}
    assert list(rows) == list(cryptodl.METHODS)
    # Equal but for a constant, x / 2 + 1 / 4 + x^2 / 8 leaves 1 / 4 at the ends and at 0, times 1 / 1.
    assert rows["minimax"]["error"] == pytest.approx(4 / 16, abs=1e-6)
    assert rows["minimax"]["error"] == min(row["error"] for row in rows.values())
    assert rows["Taylor"]["error"] == pytest.approx(np.log(2), abs=1e-3)
    assert len({row["replaced"] for row in rows.values()}) > 1
    assert len({row["trained"] for row in rows.values()}) > 1
    printed = capsys.readouterr().out
    assert "minimax (ours)" in printed and "degree 2 on [-4, 4]" in printed
    assert json.loads(path.read_text())["rows"] == found["rows"]


@pytest.mark.nightly
def test_the_network_is_encrypted_without_its_normalisation(dataset, tmp_path):
    network = nn.CryptoDL(rngs=nnx.Rngs(1))
    config = nn.TrainingConfig(epochs=3, batch_size=50, learning_rate=3e-3, average_decay=0.5)
    trained, _ = nn.train(network, dataset.train_images, dataset.train_labels, config)
    path = tmp_path / "cryptodl.safetensors"
    nn.save_weights(trained, path)
    options = {"batch": 8, "images": 8, "weights": path, "cache": None, "repeats": 0}
    found = cryptodl.main(cryptodl.Arguments(**options, insecure_log_degree=8, precision_bits=5.0))
    encrypted = found["encrypted"]
    assert encrypted["images"] == 8 and encrypted["agreeing"] >= 7
    assert encrypted["largest_error"] < 0.2 * encrypted["largest_logit"]
    assert encrypted["parameters"]["security"] == 0


def test_bad_arguments_are_refused_in_sentences(dataset, tmp_path):
    with pytest.raises(SystemExit, match="must all be 1 or more"):
        cryptodl.main(cryptodl.Arguments(study_epochs=0))
    with pytest.raises(SystemExit, match="no folder"):
        cryptodl.main(cryptodl.Arguments(study_json=tmp_path / "missing" / "file.json"))
    with pytest.raises(SystemExit, match="no file of weights"):
        cryptodl.main(cryptodl.Arguments(weights=tmp_path / "none.safetensors", cache=None))
