"""Encrypted training in small rings without security: steps, checkpoints, what is told of them."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from experiments import encrypted_sgd
from experiments.encrypted_training import encrypted_run
from experiments.encrypted_training.data import TrainingData
from experiments.encrypted_training.networks import convolutional, cross_entropy, perceptron, squared_error
from experiments.encrypted_training.recipes import Recipe
from experiments.encrypted_training.training import training_on

RECIPE = Recipe(4, 3, 0.05, 1.0, 0.5, 2.0, 2.0, 4.0)
SIZES = (4, 4, 2)
ARGUMENTS = encrypted_sgd.Arguments(cache=None, probe=1, precision_bits=6, insecure_log_degree=8)


def small_training(**changes):
    """A training of 4 inputs, 4 hidden units and 2 classes."""
    recipe = dataclasses.replace(RECIPE, **changes)
    inputs, labels = small_inputs()
    data = TrainingData(inputs, np.eye(2, dtype=np.float32)[labels], inputs, labels)
    return training_on("4-4-2 on noise", data, perceptron(SIZES, recipe.gain, 0), squared_error, recipe)


def small_regression(loss, steps, **changes):
    """A regression of two classes on 4 inputs; a logistic one has a constant in its gradient."""
    inputs, labels = small_inputs()
    data = TrainingData(inputs, labels[:, None].astype(np.float32), inputs, labels)
    recipe = dataclasses.replace(RECIPE, steps=steps, gain=0, **changes)
    return training_on("4-1 on noise", data, perceptron((SIZES[0], 1), recipe.gain, 0), loss, recipe)


def small_convolution():
    """A training of images of 4x4 pixels, two kernels of 2x2 and 2 classes."""
    images = np.random.default_rng(0).uniform(-1, 1, (16, 4, 4, 1)).astype(np.float32)
    labels = (images.sum((1, 2, 3)) > 0).astype(np.int32)
    data = TrainingData(images, np.eye(2, dtype=np.float32)[labels], images, labels)
    recipe = dataclasses.replace(RECIPE, steps=2, momenta=4.0)
    return training_on("cnn on noise", data, convolutional(4, 2, 2, 2, recipe.gain, 0), squared_error, recipe)


def small_inputs():
    """Inputs, and labels 0 and 1."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (16, SIZES[0])).astype(np.float32)
    return inputs, (inputs.sum(1) > 0).astype(np.int32)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    """A whole run in a folder, and what it returned."""
    folder = tmp_path_factory.mktemp("tiles")
    arguments = dataclasses.replace(
        ARGUMENTS, folder=folder / "run", json=folder / "run.json", plot=folder / "run.png"
    )
    return arguments, encrypted_sgd.run(small_regression(cross_entropy, 3), arguments)


def check_probes(results, steps):
    assert [probe["step"] for probe in results["probes"]] == list(range(1, steps + 1))
    for probe in results["probes"]:
        assert 0 < probe["difference"] < 4 * probe["predicted"] < 0.05
        assert probe["accuracy"] == pytest.approx(probe["accuracy_clear"], abs=0.13)


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_every_step_is_the_oracles_within_the_predicted_noise(tiles):
    arguments, results = tiles
    check_probes(results, 3)
    assert results["packing"] == "tiles" and results["bootstraps"] >= 3
    assert results["seconds"]["step"]["calls"] == 3
    assert json.loads(arguments.json.read_text()) == results and arguments.plot.stat().st_size > 10_000
    turns = sorted(path.name for path in (arguments.folder / "turns").glob("*.fhe"))
    assert turns == ["turn-000002.fhe", "turn-000003.fhe"]


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_run_that_was_stopped_comes_to_the_same_bits(tiles, monkeypatch, capsys):
    arguments, results = tiles
    turns = arguments.folder / "turns"
    written = (turns / "turn-000003.fhe").read_bytes()
    (turns / "turn-000003.fhe").unlink()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fhejax.program.files.run_folder.save", killed)
    with pytest.raises(KeyboardInterrupt):
        encrypted_sgd.run(small_regression(cross_entropy, 3), arguments)
    monkeypatch.undo()
    again = encrypted_sgd.run(small_regression(cross_entropy, 3), arguments)
    assert (turns / "turn-000003.fhe").read_bytes() == written
    assert again["probes"] == results["probes"][1:]  # of step 2, which was read again, and of step 3
    assert "INSECURE" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:.*insecure")
@pytest.mark.parametrize("changes", [{"rate": 0.04}, {"steps": 2}, {"loss": squared_error}, {"momenta": 3.0}])
def test_a_folder_of_another_run_is_refused(tiles, changes):
    arguments, _ = tiles
    with pytest.raises(SystemExit, match="holds a run of another program"):
        encrypted_sgd.run(small_regression(**{"loss": cross_entropy, "steps": 3} | changes), arguments)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*insecure")
def test_one_number_a_ciphertext_comes_to_the_same():
    arguments = dataclasses.replace(ARGUMENTS, packing="sample-per-slot", insecure_log_degree=6)
    results = encrypted_sgd.run(small_training(steps=2), arguments)
    check_probes(results, 2)
    assert results["packing"] == "sample-per-slot"


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*insecure")
def test_two_steps_of_a_call_are_the_oracles():
    arguments = dataclasses.replace(ARGUMENTS, steps_per_call=2, probe=2)
    results = encrypted_sgd.run(small_regression(squared_error, 4), arguments)
    assert [probe["step"] for probe in results["probes"]] == [2, 4]
    assert all(0 < probe["difference"] < 4 * probe["predicted"] < 0.05 for probe in results["probes"])
    assert results["seconds"]["step"]["calls"] == 2 and results["steps_per_call"] == 2


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*insecure")
def test_a_hidden_layer_is_trained_too():
    check_probes(encrypted_sgd.run(small_training(), ARGUMENTS), 3)


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:.*insecure")
def test_kernels_of_a_convolution_are_trained_too():
    results = encrypted_sgd.run(small_convolution(), ARGUMENTS)
    check_probes(results, 2)
    assert results["packing"] == "tiles" and results["parameters_count"] == 28


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_the_plan_alone_tells_what_a_call_takes(capsys):
    results = encrypted_sgd.run(small_convolution(), dataclasses.replace(ARGUMENTS, plan=True))
    assert results["predicted_seconds"] > 0 and "probes" not in results
    printed = capsys.readouterr()
    assert "key switches beside bootstraps" in printed.out + printed.err


@pytest.mark.parametrize(
    ("steps", "probe", "what"), [(3, None, "the training has 3"), (4, 1, "--probe has 1")]
)
def test_steps_that_are_no_whole_number_of_calls_are_refused(steps, probe, what):
    arguments = dataclasses.replace(ARGUMENTS, steps_per_call=2, probe=probe)
    with pytest.raises(SystemExit, match=f"{what} steps, which are no whole number of calls of"):
        encrypted_sgd.run(small_training(steps=steps), arguments)


def test_what_a_step_cannot_hold_is_told_in_a_sentence():
    training = small_training(preactivations=1e-3)
    with pytest.raises(SystemExit, match=r"at step 1 of 3 the largest magnitude of the outputs of layer"):
        encrypted_sgd.run(training, ARGUMENTS)


def test_uploads_are_drawn_from_one_random_key(tmp_path):
    first, again = (encrypted_run._random_of(tmp_path) for _ in range(2))
    assert np.array_equal(jax.random.key_data(first), jax.random.key_data(again))
    assert (tmp_path / "uploads.key").stat().st_mode & 0o077 == 0
