"""The encrypted classification of many small images by a tiny network in tiles, in an insecure ring."""

import dataclasses
import json

import numpy as np
import pytest
from flax import nnx

from experiments import cifar10, resnet
from fhejax import nn
from fhejax.nn.models import average_pool, flatten, quadratic
from fhejax.nn.residual_networks import convolution
from fhejax.program.files.run_folder import RunFolder

SHAPE = (8, 8, 3)


class Tiny(nn.Network):
    """A network of the same kind with one convolution."""

    image_shape = SHAPE

    def __init__(self, *, rngs):
        self.convolution = convolution(3, 4, rngs=rngs)
        self.activation = quadratic(4)
        self.output = nnx.Linear(64, 10, rngs=rngs)

    def layers(self):
        return (self.convolution, self.activation, average_pool, flatten, self.output)


def tiny():
    """A network that was not trained, and random images."""
    generator = np.random.default_rng(0)
    images = generator.random((25, *SHAPE), np.float32)
    network = nn.inference_view(Tiny(rngs=nnx.Rngs(1)))
    preparation = nn.Preparation((0.5,) * 3, (0.25,) * 3, 1.5, SHAPE)
    labels = np.arange(20, dtype=np.int32) % 10
    return resnet.Experiment("A tiny network", network, preparation, images[:5], images[5:], labels)


ARGUMENTS = cifar10.Arguments(
    batch=12, images=20, simulated=20, margin=3.0, precision_bits=8, cache=None, insecure_log_degree=4
)


def test_batches_are_classified_in_tiles(tmp_path, capsys):
    experiment = tiny()
    program = cifar10.compile_network(experiment, experiment.preparation(experiment.candidates), ARGUMENTS)
    allowed = (cifar10.predicted_memory(program.plan) - 1) / 1e9
    arguments = dataclasses.replace(
        ARGUMENTS, memory=allowed, json=tmp_path / "cifar10.json", plot=tmp_path / "cifar10.png"
    )
    results = cifar10.run(experiment, arguments)
    logits = np.asarray(experiment.network(experiment.preparation(experiment.images)))
    assert results["correct_clear"] == np.sum(logits.argmax(1) == experiment.labels)
    assert results["batch"] == 12 and results["seconds"]["evaluate"]["calls"] == 2
    assert results["resumed"] == [False, False]
    assert results["agreeing"] >= 18 and len(results["processor_seconds"]) == 2
    assert results["error"] < 4 * results["predicted_error"]
    assert results["predicted_memory_bytes"] <= allowed * 1e9
    rows = results["encrypted"]
    assert [row["predicted_clear"] for row in rows] == [logits[row["image"]].argmax() for row in rows]
    mistaken = [row["predicted"] != row["label"] for row in rows]
    assert mistaken == sorted(mistaken) and sum(mistaken) <= cifar10.MISTAKES
    assert json.loads((tmp_path / "cifar10.json").read_text()) == results
    assert (tmp_path / "cifar10.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "A tiny network: 20 test images, 12 in a batch" in printed and "INSECURE" in printed
    assert "depth first" in printed and "20 test images in fixed point" in printed


def test_a_run_that_was_stopped_goes_on_in_the_middle_of_a_call(tmp_path, monkeypatch):
    experiment = tiny()
    experiment = dataclasses.replace(experiment, images=experiment.images[:12], labels=experiment.labels[:12])
    whole = cifar10.compile_network(experiment, experiment.preparation(experiment.candidates), ARGUMENTS)
    allowed = (cifar10.predicted_memory(whole.plan) - 1) / 1e9
    arguments = dataclasses.replace(ARGUMENTS, simulated=0, memory=allowed, folder=tmp_path / "run")
    write, written = RunFolder.write, []

    def stopped(self, place, result):
        if written:
            raise KeyboardInterrupt
        written.append(place)
        write(self, place, result)

    monkeypatch.setattr("fhejax.program.run.blocks.kept_steps", lambda plan: range(1, len(plan.steps)))
    monkeypatch.setattr(RunFolder, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        cifar10.run(experiment, arguments)
    monkeypatch.setattr(RunFolder, "write", write)
    results = cifar10.run(experiment, arguments)
    assert results["resumed"] == [True] and results["agreeing"] >= 11
    call = next(arguments.folder.glob("image-00000-*.call"))
    kept = {path.name: path.read_bytes() for path in call.iterdir()}
    again = cifar10.run(experiment, arguments)
    assert again["resumed"] == [True] and again["largest_error"] == results["largest_error"]
    assert {path.name: path.read_bytes() for path in call.iterdir()} == kept


def test_what_cannot_be_run_is_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="CIFAR-10"):
        cifar10.main(cifar10.Arguments(data_dir=tmp_path, cache=None))
    with pytest.raises(SystemExit, match="were allowed"):
        experiment = tiny()
        sample = experiment.preparation(experiment.candidates)
        cifar10.compile_network(experiment, sample, dataclasses.replace(ARGUMENTS, memory=0.1))


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"images": 0}, {"images": 10_001}, {"margin": 0.5}, {"simulated": 10_001}]
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(SystemExit, match="it must be"):
        cifar10.main(cifar10.Arguments(cache=None, **wrong))


@pytest.mark.nightly
def test_a_few_images_lie_in_planes(capsys):
    arguments = dataclasses.replace(
        ARGUMENTS, packing="planes", batch=8, images=8, simulated=8, precision_bits=6, insecure_log_degree=9
    )
    experiment = tiny()
    experiment = dataclasses.replace(experiment, images=experiment.images[:8], labels=experiment.labels[:8])
    results = cifar10.run(experiment, arguments)
    assert results["agreeing"] >= 7 and results["error"] < 4 * results["predicted_error"]
    assert "a channel of up to 8 samples in each ciphertext" in capsys.readouterr().out
