"""Fine-tuning before any key exists: the network's features, and the training of a head on them."""

import numpy as np
import pytest
from flax import nnx

from experiments import fine_tuning
from experiments.encrypted_training.dry_run import dry_run
from fhejax import nn


def test_features_are_what_the_last_layer_sees():
    network = nn.inference_view(nn.ResNet(8, width=4, image_shape=(8, 8, 3), rngs=nnx.Rngs(0)))
    preparation = nn.Preparation((0.5,) * 3, (0.2,) * 3, image_shape=(8, 8, 3))
    images = np.random.default_rng(0).uniform(size=(5, 8, 8, 3)).astype(np.float32)
    found = fine_tuning.features(network, preparation, images)
    assert found.shape == (5, 16)
    np.testing.assert_allclose(network.output(found), network(preparation(images)), atol=1e-4)


def test_a_head_is_trained_within_its_ranges():
    generator = np.random.default_rng(0)
    centres = generator.uniform(0, 1, (10, 64))
    labels = generator.integers(0, 10, 1200).astype(np.int32)
    samples = (centres[labels] + 0.3 * generator.normal(size=(1200, 64))).astype(np.float32)
    training = fine_tuning.training_on_features(
        samples[:1000], samples[1000:], (labels[:1000], labels[1000:]), 20, 0
    )
    found = dry_run(training, 12)
    assert found.clear.accuracy[-1] > 0.9 and training.parameters["layers"][0]["kernel"].shape == (64, 10)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": 10}, "--images is 10"),
        ({"steps": 0}, "--steps is 0"),
        ({"probe": 0}, "--probe is 0"),
        ({"data_dir": "nowhere"}, "CIFAR-10"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(wrong, said):
    with pytest.raises(SystemExit, match=said):
        fine_tuning.main(fine_tuning.Arguments(cache=None, **wrong))
