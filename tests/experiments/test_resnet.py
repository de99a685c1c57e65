"""The encrypted classification of single images by a tiny residual network, in a ring without security."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from flax import nnx

from experiments import resnet, resnet_ranges
from fhejax import nn
from fhejax.nn.residual_networks import image_mean

SHAPE = (4, 4, 3)


class Tiny(nn.Network):
    """A network of the same kind with one block alone: two activations, so that few kernels are compiled."""

    image_shape = SHAPE

    def __init__(self, *, rngs):
        self.block = nn.ResidualBlock(3, 4, 2, nn.HermiteActivation, rngs=rngs)
        self.output = nnx.Linear(4, 10, rngs=rngs)

    def layers(self):
        return (self.block, image_mean, self.output)


def tiny():
    """A network that was not trained, and random images."""
    generator = np.random.default_rng(0)
    images = generator.random((12, *SHAPE), np.float32)
    network = nn.inference_view(Tiny(rngs=nnx.Rngs(1)))
    preparation = nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.5, SHAPE)
    return resnet.Experiment(
        "A tiny network", network, preparation, images[:5], images[5:], np.arange(7, dtype=np.int32)
    )


ARGUMENTS = resnet.Arguments(
    images=2, first=3, margin=3.0, precision_bits=6, cache=None, insecure_log_degree=6
)


@pytest.fixture(autouse=True)
def compiled_once(monkeypatch):
    """A run that goes on compiles the same program, which is kept here to save time."""
    programs, compile_network = [], resnet.compile_network

    def once(*arguments):
        if not programs:
            programs.append(compile_network(*arguments))
        return programs[0]

    monkeypatch.setattr(resnet, "compile_network", once)


@pytest.mark.filterwarnings("ignore:.*insecure")
def test_images_are_classified_and_a_run_goes_on(tmp_path, capsys):
    folder, experiment = tmp_path / "run", tiny()
    arguments = dataclasses.replace(
        ARGUMENTS, folder=folder, json=tmp_path / "resnet.json", plot=tmp_path / "resnet.png", simulated=6
    )
    results = resnet.run(experiment, arguments)
    logits = np.asarray(experiment.network(experiment.preparation(experiment.images)))
    assert results["correct_clear"] == np.sum(logits.argmax(1) == experiment.labels)
    assert [row["image"] for row in results["encrypted"]] == [3, 4]
    assert results["simulated"] == 6 and results["correct_of_these"] == results["correct_simulated"]
    assert 0.2 < results["simulated_error"] / results["predicted_error"] < 4
    for row in results["encrypted"]:
        np.testing.assert_allclose(row["logits_clear"], logits[row["image"]], atol=1e-4)
        assert row["error"] < 4 * results["predicted_error"] and row["seconds"] > 0
        assert np.abs(np.array(row["logits"]) - row["logits_clear"]).max() < 0.1 * row["largest_logit"]
    assert json.loads(arguments.json.read_text()) == results
    assert arguments.plot.stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "A tiny network: 7 test images in the clear" in printed and "INSECURE" in printed
    counted = printed.split("what each layer is made of")[1]
    assert "decomposed" in counted and "\n  all " in counted
    assert sum(row["plaintext_products"] for row in results["counts_of_layers"]) > 0
    tables = printed.split("encrypted, one at a time")[1].split("The picture is in")[0]
    assert max(map(len, tables.splitlines())) <= 100

    last = next(folder.glob("image-00004-*.result.fhe"))
    content = last.read_bytes()
    last.unlink()
    again = resnet.run(experiment, arguments)
    assert last.read_bytes() == content
    first, second = zip(again["encrypted"], results["encrypted"], strict=True)
    assert first[0] == first[1] and second[0]["logits"] == second[1]["logits"]
    experiment = dataclasses.replace(experiment, images=np.roll(experiment.images, 1, 0))
    resnet.run(experiment, dataclasses.replace(arguments, json=None, plot=None, images=1))
    assert len(list(folder.glob("image-00003-*.result.fhe"))) == 2


def test_images_out_of_the_planned_range_are_named():
    experiment = tiny()
    clear = resnet.classify_clear(experiment, experiment.images)
    _, sample = resnet.sample_of(experiment)
    inputs = nn.preactivations(experiment.network, experiment.preparation(experiment.images))[1]
    largest = [np.abs(np.asarray(z)).reshape(7, -1).max(1) for z in inputs]
    np.testing.assert_allclose(clear.largest.T, largest, rtol=1e-4)
    everything = resnet.classify_clear(experiment, experiment.candidates)
    assert np.all(sample.largest.max(0) >= 0.8 * everything.largest.max(0))
    assert resnet_ranges.beyond_plan(clear, sample, 100.0)["out_of_range"] == 0
    largest = np.array(clear.largest)
    largest[5, 1] = 9 * sample.largest[:, 1].max()
    further = resnet_ranges.ClearRun(clear.logits, largest)
    found = resnet_ranges.beyond_plan(further, sample, 4.0)
    assert (found["out_of_range"], found["furthest_image"], found["furthest_layer"]) == (1, 5, 2)
    assert found["reached"] / found["planned"] == pytest.approx(9 / 4)
    largest[2, 0] = np.nan
    found = resnet_ranges.beyond_plan(further, sample, 4.0)
    assert (found["out_of_range"], found["furthest_image"], found["furthest_layer"]) == (2, 2, 1)
    assert np.isfinite(list(found.values())).all()


def test_the_sample_reaches_as_far_as_all_candidates():
    largest = np.ones((20, 3))
    largest[11, 1], largest[17, 1], largest[13, 2], largest[6, 0] = 5.0, 4.9, 1.2, 9.0
    # In layer 2 the first four, at 1, are within 0.8 of 1.2.
    assert resnet.covering(largest).tolist() == [0, 1, 2, 3, 6, 11]
    assert resnet.covering(largest[:2]).tolist() == [0, 1]


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"images": 0}, "--images is 0"),
        ({"images": 3, "first": 9_998}, "--first is 9998; it must be from 0 to 9997"),
        ({"margin": 0.5}, "--margin is 0.5"),
        ({"steps": 0}, "--steps is 0"),
        ({"rate": 0.0}, "--rate is 0.0"),
        ({"output": resnet.WEIGHTS / "other"}, "it goes with --train"),
        ({"margin": float("nan")}, "--margin is nan"),
        ({"json": resnet.WEIGHTS / "missing" / "x.json"}, "no folder"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(wrong, words):
    with pytest.raises(SystemExit, match=words):
        resnet.main(dataclasses.replace(ARGUMENTS, **wrong))


def test_data_and_weights_that_are_missing(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match=r"CIFAR-10 needs the file data_batch_1\.bin"):
        resnet.main(dataclasses.replace(ARGUMENTS, data_dir=tmp_path))
    with pytest.raises(SystemExit, match="no file of weights"):
        resnet.main(dataclasses.replace(ARGUMENTS, weights=tmp_path / "missing"))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(SystemExit, match="Give load_cifar10 a data_dir"):
        resnet.main(ARGUMENTS)
