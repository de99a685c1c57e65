"""The handwritten digits that come with scikit-learn."""

import numpy as np

from fhejax.nn.data.dataset import Dataset


def load_digits() -> Dataset:
    """The digits of scikit-learn, 1,797 of 8x8 pixels: 1,297 for training and 500 for the test.

    The split is stratified by class and always the same.
    """
    from sklearn.datasets import load_digits as load_bunch
    from sklearn.model_selection import train_test_split

    bunch = load_bunch()
    assert not isinstance(bunch, tuple)  # which it is only for return_X_y=True
    images = (bunch.images / 16.0).astype(np.float32)[..., None]
    labels = bunch.target.astype(np.int32)
    parts = train_test_split(images, labels, test_size=500, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = map(np.asarray, parts)
    return Dataset(train_images, train_labels, test_images, test_labels)
