"""What a client does to images before it encrypts them, by hand and for input that it refuses."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fhejax import nn

SMALL = nn.Preparation((0.5, 0.4, 0.3), (0.25, 0.2, 0.5), 1.5, (2, 2, 3))


def by_hand(pixel):
    """One pixel in [0, 1], with scalars alone."""
    x = [(p - m) / d for p, m, d in zip(pixel, SMALL.mean, SMALL.deviation, strict=True)]
    grey = sum(x) / 3
    distance = math.sqrt(sum((c - grey) ** 2 for c in x))
    return [grey + (c - grey) * min(1, 1.5 / distance) for c in x]


def test_pixels_are_normalised_and_drawn_to_grey():
    pixels = np.array([[[0, 255, 0], [128, 120, 90]], [[255, 255, 255], [10, 10, 200]]], np.uint8)
    found = SMALL(pixels[None])
    wanted = [[by_hand(pixel / 255) for pixel in row] for row in pixels]
    np.testing.assert_allclose(found[0], wanted, atol=1e-6)
    assert found.dtype == np.float32
    for floating in (np.float32, np.float64):
        np.testing.assert_allclose(SMALL((pixels / 255).astype(floating)[None]), found, atol=1e-5)
    np.testing.assert_array_equal(SMALL(jnp.asarray(pixels[None])), found)


def test_colours_are_no_further_from_grey_than_the_limit():
    images = np.random.default_rng(0).integers(0, 256, (50, 2, 2, 3), np.uint8)
    found = SMALL(images)
    distance = np.linalg.norm(found - found.mean(-1, keepdims=True), axis=-1)
    assert distance.max() == pytest.approx(1.5, abs=1e-5)
    free = nn.Preparation(SMALL.mean, SMALL.deviation, image_shape=(2, 2, 3))(images)
    kept = distance < 1.49
    np.testing.assert_allclose(found[kept], free[kept], atol=1e-6)
    low, high = SMALL.range
    assert low <= found.min() and found.max() <= high
    assert (low, high) == pytest.approx((-2.0, 3.0))


@pytest.mark.parametrize(
    "images, error, words",
    [
        (np.zeros((1, 3, 2, 3), np.uint8), ValueError, r"\(count, 2, 2, 3\) are prepared, but found"),
        (np.zeros((2, 2, 3), np.uint8), ValueError, "with the count first"),
        (np.zeros((1, 2, 2, 1), np.float32), ValueError, "the colours last"),
        (np.zeros((1, 2, 2, 3), np.int32), TypeError, "but found int32"),
        (np.zeros((1, 2, 2, 3), bool), TypeError, "but found bool"),
        (np.full((1, 2, 2, 3), 255.0), ValueError, "divide pixels of 0 to 255"),
        (np.full((1, 2, 2, 3), -0.1, np.float32), ValueError, r"numbers in \[0, 1\]"),
        (np.full((1, 2, 2, 3), np.nan, np.float32), ValueError, "not finite"),
    ],
)
def test_other_images_are_refused(images, error, words):
    with pytest.raises(error, match=words):
        SMALL(images)


def test_traced_images_are_refused():
    with pytest.raises(TypeError, match="on the host"):
        jax.jit(SMALL)(np.zeros((1, 2, 2, 3), np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5, 0.4)},
        {"deviation": (0.25, 0.2, 0.0)},
        {"deviation": (0.25, 0.2, math.inf)},
        {"mean": (0.5, math.nan, 0.3)},
        {"chroma": 0.0},
        {"chroma": math.nan},
        {"image_shape": (0, 2, 3)},
        {"image_shape": (2, 2, 1)},
    ],
)
def test_numbers_that_make_no_preparation(change):
    with pytest.raises(ValueError, match="a preparation"):
        nn.Preparation(**{**vars(SMALL), **change})


def test_it_lies_beside_the_weights(tmp_path):
    path = tmp_path / "digits.safetensors"
    model = nn.Digits(rngs=nnx.Rngs(0))
    nn.save_weights(model, path, np.float16, preparation=SMALL)
    assert nn.load_preparation(path) == SMALL
    loaded = nn.load_weights(nn.Digits(rngs=nnx.Rngs(1)), path)
    np.testing.assert_allclose(loaded.output.kernel[...], model.output.kernel[...], atol=1e-3)
    stored = safetensors.numpy.load_file(path)
    stored["preparation.mean"] = stored["preparation.mean"][:2]
    safetensors.numpy.save_file(stored, path)
    with pytest.raises(ValueError, match=r"does not say how images are prepared: .* 2 means"):
        nn.load_preparation(path)
    nn.save_weights(model, path)
    with pytest.raises(ValueError, match=r"does not say how .* but found none"):
        nn.load_preparation(path)


def test_its_names_are_not_those_of_weights(tmp_path):
    class Confusing(nnx.Module):
        def __init__(self):
            self.preparation = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    with pytest.raises(ValueError, match=r"begin with 'preparation\.'"):
        nn.save_weights(Confusing(), tmp_path / "confusing.safetensors")
