"""The MNIST experiment on random images in IDX files, in a small ring without security."""

import gzip
import struct

import numpy as np
import pytest
from flax import nnx

from experiments import mnist, table
from fhejax import nn
from fhejax.nn.data import mnist as mnist_data

COUNT = 100


@pytest.fixture
def folder(tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    files = {}
    for name, (file, magic, shape) in mnist_data.MNIST_FILES.items():
        sizes = (COUNT, *shape[1:])
        highest = 256 if len(sizes) > 1 else 10
        entries = generator.integers(0, highest, sizes, np.uint8)
        header = struct.pack(f">{1 + len(sizes)}I", magic, *sizes)
        (tmp_path / f"{file}.gz").write_bytes(gzip.compress(header + entries.tobytes()))
        files[name] = (file, magic, sizes)
    monkeypatch.setattr(mnist_data, "MNIST_FILES", files)
    return tmp_path


def test_batches_of_which_the_last_is_smaller(folder, capsys):
    arguments = mnist.Arguments(
        network="mlp", data_dir=folder, batch=64, repeats=0, cache=None, insecure_log_degree=6
    )
    results = mnist.main(arguments)
    assert results["images"] == COUNT and results["batch"] == 64
    assert results["seconds"]["encrypt"]["calls"] == 2
    weights = mnist.WEIGHTS / "mlp.safetensors"
    network = nn.load_weights(nn.MLP(rngs=nnx.Rngs(1)), weights)
    dataset = nn.load_mnist(folder)
    right = nn.accuracy(network, dataset.test_images, dataset.test_labels)
    assert results["correct_clear"] == round(COUNT * right)
    assert results["agreeing"] >= 98
    assert 0 < results["largest_error"] < 0.01 * results["largest_logit"]
    warm = results["seconds"]["evaluate"]["warm"]
    assert results["images_per_hour"] == pytest.approx(64 * 3600 / warm)
    printed = capsys.readouterr().out
    assert "MLP on MNIST: 100 test images, 64 in a batch" in printed and "INSECURE" in printed


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="MNIST needs the file"):
        mnist.main(mnist.Arguments(data_dir=tmp_path, cache=None))


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"images": 0}])
def test_no_images_are_refused(wrong):
    with pytest.raises(SystemExit, match="1 or more"):
        mnist.main(mnist.Arguments(cache=None, **wrong))


def test_amounts_have_three_digits():
    assert [table.size(n) for n in (12, 1_234, 5.678e6, 2.5e9)] == [
        "12 bytes", "1.23 kB", "5.68 MB", "2.50 GB"
    ]  # fmt: skip
    assert [table.amount(n) for n in (987.6, 45_678, 1_234_567)] == [
        "988",
        "45,700",
        "1.23 million",
    ]
