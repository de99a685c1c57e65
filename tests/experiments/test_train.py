"""The training script from end to end on a few synthetic images."""

import numpy as np
import pytest
from flax import nnx

from experiments import train
from fhejax import nn


@pytest.fixture
def dataset():
    generator = np.random.default_rng(0)
    images = generator.random((300, 28, 28, 1), np.float32)
    labels = generator.integers(0, 10, 300, np.int32)
    return nn.Dataset(images, labels, images[:20], labels[:20])


def test_held_out_images_come_from_training_alone(dataset):
    part = train.hold_out(dataset, 50)
    assert len(part.train_labels) == 250 and len(part.test_images) == 50
    together = np.concatenate([part.train_images, part.test_images])
    order = np.argsort(together[:, 0, 0, 0]), np.argsort(dataset.train_images[:, 0, 0, 0])
    np.testing.assert_array_equal(together[order[0]], dataset.train_images[order[1]])


def test_one_epoch_writes_weights_and_a_table(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(nn, "load_mnist", lambda folder: dataset)
    path = tmp_path / "mlp.safetensors"
    arguments = train.Arguments("mlp", output=path, epochs=1, validation=100)
    row = train.main(arguments)
    model = nn.load_weights(nn.MLP(rngs=nnx.Rngs(1)), path)
    held = train.hold_out(dataset, 100)
    assert row["accuracy"] == nn.accuracy(model, held.test_images, held.test_labels)
    assert row["logits, largest"] <= row["logits, bound"]
    printed = capsys.readouterr().out
    assert "mlp, seed 0, 100 held-out images" in printed and "8-bit weights" in printed


def test_a_missing_folder_is_found_before_training(tmp_path):
    with pytest.raises(SystemExit, match="no folder"):
        train.main(train.Arguments("mlp", output=tmp_path / "missing" / "file"))
