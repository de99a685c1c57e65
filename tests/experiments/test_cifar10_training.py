"""Training of HCNN's network in both stages, on a few small images: stopped, gone on with, and stored."""

import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from experiments import cifar10_training, train
from experiments.trained_network import trained_network
from fhejax import nn
from fhejax.nn.models import average_pool, flatten, quadratic

SHAPE = (4, 4, 3)
RECIPE = cifar10_training.Recipe(
    nn.TrainingConfig(epochs=2, batch_size=8),
    nn.BoundedTraining(steps=2, batch_size=8, moment_images=16),
)


class Tiny(nn.Network):
    """A network of the same kind with one convolution."""

    image_shape = SHAPE

    def __init__(self, *, rngs):
        self.convolution = nnx.Conv(3, 4, (3, 3), padding="SAME", rngs=rngs)
        self.normalisation = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.square = nn.Square()
        self.output = nnx.Linear(16, 10, rngs=rngs)

    def layers(self):
        return (self.convolution, self.normalisation, self.square, average_pool, flatten, self.output)


def dataset():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, *SHAPE)).astype(np.uint8)
    labels = generator.integers(0, 10, 60).astype(np.int32)
    return nn.Dataset(images[:40], labels[:40], images[40:], labels[40:])


def run(folder):
    return cifar10_training.run(Tiny(rngs=nnx.Rngs(0)), dataset(), RECIPE, folder, held_out=8)


def test_a_training_that_was_stopped_ends_with_the_same_weights(tmp_path, monkeypatch):
    whole, preparation, results = run(None)
    assert not any(isinstance(layer, nnx.BatchNorm) for layer in whole.layers())
    assert results["steps"] == 2 and 0 <= results["held_out"]["after"]["accuracy"] <= 100
    prepared = preparation(dataset().train_images[:32])
    assert np.abs(prepared.mean((0, 1, 2))).max() < 0.1 and preparation.chroma == cifar10_training.CHROMA

    write = cifar10_training.resnet_training.write

    def killed(folder, state, config):
        write(folder, state, config)
        raise KeyboardInterrupt

    monkeypatch.setattr(cifar10_training.resnet_training, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path)
    monkeypatch.setattr(cifar10_training.resnet_training, "write", write)
    found, _, _ = run(tmp_path)
    leaves = (jax.tree.leaves(nnx.state(network)) for network in (found, whole))
    for leaf, wanted in zip(*leaves, strict=True):
        np.testing.assert_array_equal(leaf, wanted)


def test_a_recipe_of_one_stage():
    recipe = cifar10_training.Recipe(RECIPE.normalised)
    network = Tiny(rngs=nnx.Rngs(0))
    folded, preparation, results = cifar10_training.run(network, dataset(), recipe, None, held_out=8)
    images = preparation(dataset().test_images)
    right = np.mean(np.asarray(folded(images)).argmax(1) == dataset().test_labels)
    assert results["test"]["folded"]["accuracy"] == round(100 * float(right), 2)
    printed = cifar10_training.resnet_training.render(results)
    assert "2 epochs" in printed and "test images, folded" in printed


class TinyShallow(Tiny):
    """With an activation of its own in place of normalisation and square."""

    def __init__(self, activation=quadratic, *, rngs):
        super().__init__(rngs=rngs)
        self.square = activation(4)

    def layers(self):
        return (self.convolution, self.square, average_pool, flatten, self.output)


def test_hermite_activations_imitate_a_teacher_and_fold_to_quadratics(tmp_path):
    own, _, _ = run(None)
    teacher = cifar10_training.Teacher(own, nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.5, SHAPE))
    first = dataclasses.replace(RECIPE.normalised, distillation_weight=0.9, temperature=4.0)
    recipe = cifar10_training.Recipe(first, RECIPE.bounded)
    network = TinyShallow(cifar10_training.hermite, rngs=nnx.Rngs(0))
    found, preparation, results = cifar10_training.run(
        network, dataset(), recipe, tmp_path, held_out=8, teacher=teacher
    )
    assert preparation == teacher.preparation and results["steps"] == 2
    nn.save_weights(found, tmp_path / "weights", preparation=preparation)
    loaded = nn.load_weights(TinyShallow(rngs=nnx.Rngs(1)), tmp_path / "weights")
    images = preparation(dataset().test_images)
    np.testing.assert_allclose(loaded(images), found(images), rtol=1e-5, atol=1e-6)


def test_what_cannot_be_run_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="hcnn_cifar has none of"):
        train.main(train.Arguments("hcnn_cifar", steps=3))
    with pytest.raises(SystemExit, match="absent"):
        trained_network(nn.ShallowCifar(rngs=nnx.Rngs(0)), tmp_path / "absent")
    with pytest.raises(SystemExit, match="holds out 5,000 images as it is"):
        train.main(train.Arguments("hcnn_cifar", validation=100))
    with pytest.raises(SystemExit, match="in one piece"):
        train.main(train.Arguments("mlp", folder=tmp_path))
