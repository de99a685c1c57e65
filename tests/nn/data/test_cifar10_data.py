"""The reader of CIFAR-10's binary batches against good and bad files."""

import sys

import numpy as np
import pytest

from fhejax.nn import load_cifar10
from fhejax.nn.data import cifar10

COUNT = 3


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of six batches of three images each: label, then the three planes."""
    generator = np.random.default_rng(0)
    for name in (*cifar10.TRAINING_BATCHES, cifar10.TEST_BATCH):
        labels = generator.integers(0, 10, (COUNT, 1), np.uint8)
        pixels = generator.integers(0, 256, (COUNT, 3072), np.uint8)
        (tmp_path / name).write_bytes(np.concatenate([labels, pixels], 1).tobytes())
    monkeypatch.setattr(cifar10, "IMAGES_IN_A_BATCH", COUNT)
    return tmp_path


def test_images_are_rows_columns_and_colours(folder):
    dataset = load_cifar10(folder)
    assert dataset.train_images.shape == (15, 32, 32, 3) and dataset.test_images.shape == (3, 32, 32, 3)
    assert dataset.test_images.dtype == np.float32 and dataset.train_labels.dtype == np.int32
    record = (folder / "data_batch_2.bin").read_bytes()[3073 : 2 * 3073]
    assert dataset.train_labels[4] == record[0]
    image = dataset.train_images[4] * 255
    # Pixel (row 5, column 7): 32 bytes a row, 1,024 a plane.
    found = [record[1 + 1024 * colour + 32 * 5 + 7] for colour in range(3)]
    np.testing.assert_allclose(image[5, 7], found, atol=1e-4)


def test_the_folder_of_the_archive_is_found(folder):
    inner = folder / "cifar-10-batches-bin"
    inner.mkdir()
    expected = load_cifar10(folder).test_labels
    for path in folder.glob("*.bin"):
        path.rename(inner / path.name)
    np.testing.assert_array_equal(load_cifar10(str(folder)).test_labels, expected)


def test_a_missing_batch(folder):
    (folder / "data_batch_4.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs the file data_batch_4\.bin, but neither"):
        load_cifar10(folder)
    with pytest.raises(FileNotFoundError, match=r"data_batch_1\.bin"):
        load_cifar10(folder / "nowhere")


@pytest.mark.parametrize("name", ["data_batch_5.bin", "test_batch.bin"])
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b""])
def test_a_file_of_another_length(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=rf"{name} should hold 9219 bytes, 3 images .* but holds"):
        load_cifar10(folder)


def test_a_label_that_is_none(folder):
    path = folder / "test_batch.bin"
    path.write_bytes(b"\x0a" + path.read_bytes()[1:])
    with pytest.raises(ValueError, match="holds the label 10, and CIFAR-10's are 0 to 9"):
        load_cifar10(folder)


def test_no_folder_and_no_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10 was asked for .* Give load_cifar10 a data_dir"):
        load_cifar10()


def test_the_examples_of_the_package_become_the_same_arrays(monkeypatch):
    class Builder:
        def __init__(self, name, file_format):
            assert name == "cifar10"

        def download_and_prepare(self):
            pass

        def as_data_source(self, split):
            image = np.full((32, 32, 3), 51, np.uint8)
            return [[{"image": image, "label": 4}] * count for count in (2, 1)]

    module = type(sys)("tensorflow_datasets")
    module.builder = Builder
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    dataset = load_cifar10()
    assert dataset.train_images.shape == (2, 32, 32, 3) and dataset.test_labels.tolist() == [4]
    np.testing.assert_allclose(dataset.test_images, 0.2, rtol=1e-6)
