"""The split of the digits."""

import numpy as np

from fhejax.nn import load_digits


def test_digits_are_split_once_and_for_all():
    first, second = load_digits(), load_digits()
    assert first.train_images.shape == (1297, 8, 8, 1) and first.test_images.shape == (500, 8, 8, 1)
    assert first.train_images.min() == 0 and first.train_images.max() == 1
    np.testing.assert_array_equal(first.test_labels, second.test_labels)
    assert np.ptp(np.bincount(first.test_labels)) <= 3
