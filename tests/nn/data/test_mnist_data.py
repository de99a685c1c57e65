"""The IDX reader against good and bad files."""

import dataclasses
import gzip
import sys

import numpy as np
import pytest

from fhejax.nn import load_mnist
from fhejax.nn.data import mnist


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of four small IDX files, written here independently of the reader."""
    generator = np.random.default_rng(0)
    files = {}
    for field, (name, magic, shape) in mnist.MNIST_FILES.items():
        shape = (7 if "train" in field else 3, *shape[1:])
        files[field] = (name, magic, shape)
        header = b"".join(int(n).to_bytes(4, "big") for n in (magic, *shape))
        entries = generator.integers(0, 10 if len(shape) == 1 else 256, shape, np.uint8)
        content = header + entries.tobytes()
        if "images" in field:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(mnist, "MNIST_FILES", files)
    return tmp_path


def test_reads_compressed_and_raw_files(folder):
    dataset = load_mnist(folder)
    assert dataset.train_images.shape == (7, 28, 28, 1)
    assert dataset.test_images.dtype == np.float32 and dataset.test_labels.dtype == np.int32
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
    pixels = np.frombuffer(raw, np.uint8).reshape(3, 28, 28, 1)
    np.testing.assert_allclose(dataset.test_images * 255, pixels, atol=1e-4)
    raw = (folder / "train-labels-idx1-ubyte").read_bytes()[8:]
    assert dataset.train_labels.tolist() == list(raw)


def test_dataset_is_frozen(folder):
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_mnist(folder).train_images = None


def test_missing_file(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=r"t10k-labels-idx1-ubyte\.gz, but the folder"):
        load_mnist(folder)


def test_truncated_raw_file(folder):
    path = folder / "train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"should hold 15 bytes .* but holds 14: it is truncated"):
        load_mnist(folder)
    path.write_bytes(b"\0\0\x08")
    with pytest.raises(ValueError, match="less than the 8 of an IDX header"):
        load_mnist(folder)


def test_truncated_and_damaged_compressed_file(folder):
    path = folder / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        load_mnist(folder)
    path.write_bytes(b"<html>" + content)
    with pytest.raises(ValueError, match="not a whole gzip file"):
        load_mnist(folder)


def test_wrong_file_under_the_name(folder):
    path = folder / "train-labels-idx1-ubyte"
    good = path.read_bytes()
    path.write_bytes(mnist.IMAGES_MAGIC.to_bytes(4, "big") + good[4:])
    with pytest.raises(ValueError, match="0x00000803, and 0x00000801 is needed"):
        load_mnist(folder)
    path.write_bytes(good[:4] + (8).to_bytes(4, "big") + good[8:])
    with pytest.raises(ValueError, match=r"sizes are \(8,\); MNIST's are \(7,\)"):
        load_mnist(folder)


def test_no_folder_and_no_tensorflow_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match="Give load_mnist a data_dir"):
        load_mnist()


def test_tensorflow_datasets_examples_become_the_same_arrays(monkeypatch):
    class Builder:
        def __init__(self, name, file_format):
            assert name == "mnist"

        def download_and_prepare(self):
            pass

        def as_data_source(self, split):
            image = np.full((28, 28, 1), 51, np.uint8)
            return [[{"image": image, "label": 4}] * count for count in (2, 1)]

    module = type(sys)("tensorflow_datasets")
    module.builder = Builder
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    dataset = load_mnist()
    assert dataset.train_images.shape == (2, 28, 28, 1) and dataset.test_labels.tolist() == [4]
    np.testing.assert_allclose(dataset.test_images, 0.2, rtol=1e-6)
