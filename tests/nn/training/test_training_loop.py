"""The training loop: it learns, repeats itself, and says what is wrong."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fhejax import nn

CONFIG = nn.TrainingConfig(epochs=40, batch_size=64, learning_rate=1e-2, average_decay=0.99)


@pytest.fixture(scope="module")
def digits():
    return nn.load_digits()


@pytest.fixture(scope="module")
def trained(digits):
    model = nn.Digits(rngs=nnx.Rngs(0))
    before = jax.tree.map(jnp.copy, nnx.state(model))
    result = nn.train(model, digits.train_images, digits.train_labels, CONFIG)
    return model, before, *result


def test_digits_reach_their_accuracy(trained, digits):
    _, _, predict, history = trained
    assert nn.accuracy(predict, digits.test_images, digits.test_labels) >= 0.975
    assert history[-1].loss < 0.1 * history[0].loss
    assert [epoch.index for epoch in history] == list(range(40))


def test_the_given_model_is_untouched(trained):
    model, before, predict, _ = trained
    jax.tree.map(np.testing.assert_array_equal, nnx.state(model), before)
    assert predict.normalisation.use_running_average
    assert not model.normalisation.use_running_average


def short(digits, config=CONFIG, **hooks):
    model = nn.Digits(rngs=nnx.Rngs(0))
    config = replace(config, epochs=1)
    return nn.train(model, digits.train_images[:256], digits.train_labels[:256], config, **hooks)


def test_a_seed_repeats_and_another_does_not(digits):
    (first, _), (second, _) = short(digits), short(digits)
    other, _ = short(digits, replace(CONFIG, seed=1))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    assert np.any(first.output.kernel[...] != other.output.kernel[...])


def test_hooks_are_called(digits):
    seen = []
    first, _ = short(digits)
    _, (epoch,) = short(digits, on_epoch=lambda epoch, predict: seen.append((epoch, predict)))
    assert seen[0][0] == epoch and seen[0][1](digits.test_images[:2]).shape == (2, 10)
    augmented, _ = short(digits, augment=lambda key, images: images * 0.5)
    penalised, _ = short(
        digits,
        replace(CONFIG, penalty_weight=10.0),
        penalty=lambda model: jnp.sum(model.output.kernel[...] ** 2),
    )
    assert np.any(first.output.kernel[...] != augmented.output.kernel[...])
    assert jnp.linalg.norm(penalised.output.kernel[...]) < jnp.linalg.norm(first.output.kernel[...])


def test_distillation_follows_the_teacher_and_not_the_labels(digits):
    def teacher(images):
        return 20.0 * jax.nn.one_hot(jnp.zeros(images.shape[0], jnp.int32), 10, dtype=jnp.float32)

    config = replace(CONFIG, distillation_weight=1.0, epochs=5)
    model = nn.Digits(rngs=nnx.Rngs(0))
    student, _ = nn.train(model, digits.train_images, digits.train_labels, config, teacher=teacher)
    assert np.all(np.argmax(nn.evaluate(student, digits.test_images), axis=-1) == 0)


def test_bad_arguments_are_refused(digits):
    model = nn.Digits(rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="only 10 images"):
        nn.train(model, digits.train_images[:10], digits.train_labels[:10], CONFIG)
    with pytest.raises(ValueError, match="1297 images but 5 labels"):
        nn.train(model, digits.train_images, digits.train_labels[:5], CONFIG)
    with pytest.raises(ValueError, match="diverged"):
        nn.train(model, np.full_like(digits.train_images, 1e30), digits.train_labels, CONFIG)


def test_evaluate_covers_the_last_partial_batch(digits):
    predict = nn.inference_view(nn.Digits(rngs=nnx.Rngs(0)))
    whole = nn.evaluate(predict, digits.test_images[:50])
    parts = nn.evaluate(predict, digits.test_images[:50], batch_size=16)
    np.testing.assert_allclose(whole, parts, atol=1e-5)
    labels = np.argmax(whole, axis=-1)
    assert nn.accuracy(predict, digits.test_images[:50], labels) == 1.0
    labels[:5] += 1
    assert nn.accuracy(predict, digits.test_images[:50], labels) == 0.9
