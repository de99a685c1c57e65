"""Distortions: nothing moves when nothing may, and each part moves what it says."""

import jax
import numpy as np
import pytest

from fhejax.nn import Distortion, distort, shift_and_flip

STILL = Distortion(0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((4, 28, 28, 1), np.float32)


def test_no_distortion_is_the_identity(images):
    np.testing.assert_allclose(distort(jax.random.key(0), images, STILL), images, atol=1e-5)


@pytest.mark.parametrize("part", ["shift", "rotation", "scale", "shear", "elastic"])
def test_each_part_moves_pixels_within_range(images, part):
    distortion = Distortion(**(vars(STILL) | {part: 2.0 if part == "shift" else 0.5}))
    moved = distort(jax.random.key(1), images, distortion)
    assert moved.shape == images.shape and moved.dtype == np.float32
    assert np.max(np.abs(moved - images)) > 1e-3
    assert np.min(moved) >= 0 and np.max(moved) <= 1 + 1e-6
    again = distort(jax.random.key(1), images, distortion)
    np.testing.assert_array_equal(moved, again)
    assert np.any(distort(jax.random.key(2), images, distortion) != moved)


def test_shift_moves_the_centre_of_mass_within_its_limit():
    image = np.zeros((200, 28, 28, 1), np.float32)
    image[:, 13:15, 13:15] = 1
    moved = np.asarray(distort(jax.random.key(0), image, Distortion(**(vars(STILL) | {"shift": 3.0}))))
    rows = np.sum(moved[..., 0] * np.arange(28)[None, :, None], axis=(1, 2)) / 4 - 13.5
    assert 2.5 < np.max(np.abs(rows)) <= 3.0001 and abs(np.mean(rows)) < 0.5


def test_images_are_distorted_independently(images):
    same = np.broadcast_to(images[:1], images.shape)
    moved = np.asarray(distort(jax.random.key(0), same, Distortion()))
    assert all(np.any(moved[0] != other) for other in moved[1:])


def test_images_are_shifted_and_mirrored():
    images = np.arange(1, 1 + 40 * 12, dtype=np.float32).reshape(40, 3, 2, 2)
    found = np.asarray(shift_and_flip(jax.random.key(0), images, 1))
    seen = set()
    for image, moved in zip(images, found, strict=True):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        candidates = {
            (row, column, flip): padded[row : row + 3, column : column + 2][:, ::flip]
            for row in range(3)
            for column in range(3)
            for flip in (1, -1)
        }
        matching = [move for move, wanted in candidates.items() if np.array_equal(wanted, moved)]
        assert matching
        seen.add(matching[0])
    assert len(seen) > 9
