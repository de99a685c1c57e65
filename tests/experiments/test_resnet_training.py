"""Training of a tiny residual network that is stopped and goes on, to the same weights."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from experiments import resnet_training
from fhejax import nn
from fhejax.nn.residual_networks import image_mean

SHAPE = (4, 4, 3)
CONFIG = nn.BoundedTraining(steps=4, batch_size=8, moment_images=16, threshold=3.0)


class Tiny(nn.Network):
    image_shape = SHAPE

    def __init__(self, *, rngs):
        activation = nn.models.quadratic
        self.block = nn.ResidualBlock(3, 4, 2, activation, rngs=rngs)
        self.output = nnx.Linear(4, 10, rngs=rngs)

    def layers(self):
        return (self.block, image_mean, self.output)


def given():
    generator = np.random.default_rng(0)
    images = generator.random((60, *SHAPE), np.float32)
    labels = generator.integers(0, 10, 60).astype(np.int32)
    dataset = nn.Dataset(images[:40], labels[:40], images[40:], labels[40:])
    preparation = nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.5, SHAPE)
    return nn.inference_view(Tiny(rngs=nnx.Rngs(1))), preparation, dataset


def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole, results = resnet_training.run(*given(), CONFIG, None, held_out=8)
    assert results["steps"] == results["steps_of_this_run"] == 4
    for half in ("held_out", "test"):
        assert set(results[half]) == {"before", "after"}
        assert 0 <= results[half]["after"]["accuracy"] <= 100 and results[half]["after"]["not_finite"] == 0
    assert "test images, after" in resnet_training.render(results)

    monkeypatch.setattr(resnet_training, "SAVE_EVERY", 1)
    write = resnet_training.write

    def killed(folder, state, config):
        write(folder, state, config)
        if int(state.step) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(resnet_training, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        resnet_training.run(*given(), CONFIG, tmp_path / "run", held_out=8)
    monkeypatch.setattr(resnet_training, "write", write)
    found, again = resnet_training.run(*given(), CONFIG, tmp_path / "run", held_out=8)
    assert again["steps"] == 4 and again["steps_of_this_run"] == 2
    for leaf, wanted in zip(
        jax.tree.leaves(nnx.state(found)), jax.tree.leaves(nnx.state(whole)), strict=True
    ):
        np.testing.assert_array_equal(leaf, wanted)
    with pytest.raises(SystemExit, match="the state of another training"):
        other = dataclasses.replace(CONFIG, learning_rate=0.1)
        resnet_training.run(*given(), other, tmp_path / "run", held_out=8)
