"""Classify the test images of CIFAR-10 encrypted, thousands in one call, or a few with a deep network.

    python -m experiments.cifar10 --network shallow --batch 10000 --data-dir CIFAR
    python -m experiments.cifar10 --network hcnn --batch 10000 --margin 2.5 --data-dir CIFAR --folder run
    python -m experiments.cifar10 --network resnet20 --batch 32 --images 32 --simulated 32 --data-dir CIFAR

CIFAR is a folder with the original binary batches; without it, tensorflow-datasets downloads them
(`pip install -e .[data]`). `hcnn` is the network of HCNN's paper, which `experiments/train.py` trains. With
the shallow networks one sample lies in each slot, and layers that do not fit in memory are computed in tiles;
with ResNet-20 a ciphertext holds one channel of all images. First all test images are classified in the
clear, with a look at what would leave the range that the program is planned for, and some in fixed point with
predicted noise. Then they travel encrypted. A run with a folder that is stopped goes on from there, in the
middle of a call too.
"""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from flax import nnx

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import checkpoints, pipeline, resnet, resnet_picture, resnet_table, table
from experiments.mnist import WEIGHTS
from experiments.resnet_ranges import ClearRun, beyond_plan
from experiments.trained_network import read_cifar10, trained_network
from fhejax import nn
from fhejax.program.levels.tile_choice import predicted_memory

MISTAKES = 4  # in the picture, at most

NetworkName = Literal["hcnn", "resnet20", "shallow"]


@dataclass(frozen=True)
class Choice:
    """A network that can be named: how it is made and called, the file of its weights, and its packing."""

    make: Callable[..., nn.Network]
    name: str
    weights: str
    packing: str


NETWORKS = {
    "hcnn": Choice(
        functools.partial(nn.HCNNCifar, normalise=False),
        "HCNN's network on CIFAR-10",
        "hcnn_cifar",
        "sample-per-slot",
    ),
    "resnet20": Choice(nn.ResNet20, "ResNet-20 on CIFAR-10", "resnet20", "planes"),
    "shallow": Choice(nn.ShallowCifar, "A shallow network on CIFAR-10", "shallow", "sample-per-slot"),
}


@dataclass(frozen=True)
class Arguments:
    """Classify images of CIFAR-10 encrypted, many in one call.

    Attributes:
        network: which; ResNet-20 takes minutes and gigabytes for up to 64 images.
        packing: where images lie in the slots; without it what suits the network.
        batch: images that are encrypted together.
        images: how many of the test images, from the first on.
        data_dir: folder with CIFAR-10's six binary batches; tensorflow-datasets without it.
        simulated: how many test images, from the first on, run in fixed point with predicted noise.
        weights: safetensors file to read; the one beside this program without it.
        folder: of the run: keys (the secret one too), uploads and results within each call, gigabytes. A run
            that was stopped goes on from there. Where layers are computed in tiles, uploads stay in the
            folder, and take no memory, and so do tiles that have no room.
        memory: gigabytes that the call may take, its arguments included; without it two thirds of the
            machine's.
        margin: how many times as large as on the sample values may become.
        precision_bits: -log2 of the relative error to be left in the logits.
        plot: PNG file to draw: the first images with their labels.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    network: NetworkName = "shallow"
    packing: Literal["sample-per-slot", "planes"] | None = None
    batch: int = 10_000
    images: int = 10_000
    data_dir: Path | None = None
    simulated: int = 1000
    weights: Path | None = None
    folder: Path | None = None
    memory: float | None = None
    margin: float = 2.0
    precision_bits: float = 9.0
    plot: Path | None = None
    json: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print its tables; return their numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    return run(load(arguments), arguments)


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is read."""
    pipeline.check_writable(arguments.plot, arguments.json)
    pipeline.check_range("--images", arguments.images, 1, 10_000)
    pipeline.check_range("--batch", arguments.batch, 1, 10_000)
    pipeline.check_range("--simulated", arguments.simulated, 0, arguments.images)
    if not arguments.margin >= 1:
        raise SystemExit(f"--margin is {arguments.margin}; it must be 1 or more.")


def load(arguments: Arguments) -> resnet.Experiment:
    """Read the weights and the data set.

    Raises:
        SystemExit: where either cannot be read, with the reason.
    """
    choice = NETWORKS[arguments.network]
    path = arguments.weights or WEIGHTS / f"{choice.weights}.safetensors"
    network, preparation = trained_network(choice.make(rngs=nnx.Rngs(0)), path)
    dataset = read_cifar10(arguments.data_dir)
    candidates = dataset.train_images[: resnet.CANDIDATES].copy()  # so that the others are given back
    images, labels = (a[: arguments.images].copy() for a in (dataset.test_images, dataset.test_labels))
    return resnet.Experiment(choice.name, network, preparation, candidates, images, labels)


def run(experiment: resnet.Experiment, arguments: Arguments) -> dict[str, Any]:
    """Classify all images in the clear and encrypted; print, write and return what came out."""
    calls = math.ceil(len(experiment.images) / arguments.batch)
    with pipeline.stages(3 + (arguments.simulated > 0) + 3 * calls) as timed:
        clear = timed("clear", resnet.classify_clear, experiment, experiment.images)
        chosen, sample = resnet.sample_of(experiment)
        found = {"name": experiment.name, "images": len(experiment.images)}
        found["correct_clear"] = int(np.sum(clear.logits.argmax(axis=1) == experiment.labels))
        found |= beyond_plan(clear, sample, arguments.margin)
        timed.bar.write(resnet_table.render_clear(found))
        program = timed("compile", compile_network, experiment, chosen, arguments)
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        if arguments.simulated:
            together = min(arguments.batch, resnet.SIMULATED_AT_ONCE)
            fixed = (experiment, program, clear, arguments.simulated, together)
            found |= timed("simulate", resnet.classify_simulated, *fixed)
            timed.bar.write(resnet_table.render_simulated(found))
        inference, spent = infer(experiment, program, arguments, timed)
    found |= {"batch": min(arguments.batch, len(experiment.images)), **spent}
    results = summarise(experiment, program, timed, clear, inference, found)
    print(table.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    if arguments.plot:
        figure = resnet_picture.draw(results, experiment.images, table.headline(results))
        pipeline.save_picture(arguments.plot, figure)
    return results


def compile_network(
    experiment: resnet.Experiment, sample: np.ndarray, arguments: Arguments
) -> fhejax.Program:
    """Plan the network for a batch.

    Raises:
        SystemExit: where no secure ring holds it, or too little memory is allowed.
    """
    shape = (arguments.batch, *experiment.network.image_shape)
    try:
        return fhejax.compile(
            experiment.network,
            fhejax.Encrypted(shape, range=experiment.preparation.range),
            packing=arguments.packing or NETWORKS[arguments.network].packing,
            precision_bits=arguments.precision_bits,
            sample=sample,
            margin=arguments.margin,
            bootstrapping=False,
            insecure_log_degree=arguments.insecure_log_degree,
            memory=None if arguments.memory is None else arguments.memory * 1e9,
            memory_map=arguments.folder is not None,
        )
    except ValueError as error:
        raise SystemExit(str(error)) from error


def infer(
    experiment: resnet.Experiment, program: fhejax.Program, arguments: Arguments, timed: pipeline.Stages
) -> tuple[pipeline.Inference, dict[str, Any]]:
    """Classify all images encrypted, a batch in a call.

    Returns:
        The logits; and of each call its processor seconds in this process, and whether it went on with what
        an earlier one had left.
    """
    secret, keys = timed("keys", checkpoints.keys_of_run, arguments.folder, program)
    logits, sizes, spent, resumed = [], {}, [], []
    for start in range(0, len(experiment.images), arguments.batch):
        images = experiment.preparation(experiment.images[start : start + arguments.batch])
        file = resnet.file_of(arguments.folder, start, images)
        encrypt = functools.partial(program.encrypt, secret, images)
        upload = timed("encrypt", resnet.kept, file, "upload", program, encrypt)
        folder = None if file is None else file.with_suffix(".call")
        resumed.append(folder is not None and folder.exists())
        with pipeline.counter("parts of the call") as progress:
            call = functools.partial(program, folder=folder, progress=progress)
            begun = time.process_time()
            result = timed("evaluate", call, keys, upload)
            spent.append(time.process_time() - begun)
        sizes = {"keys": keys.wire_bytes, "images": upload.bytes, "logits": result.bytes}
        del upload
        logits.append(timed("decrypt", program.decrypt, secret, result))
    found = {"processor_seconds": spent, "resumed": resumed}
    return pipeline.Inference(np.concatenate(logits), sizes), found


def summarise(
    experiment: resnet.Experiment,
    program: fhejax.Program,
    timed: pipeline.Stages,
    clear: ClearRun,
    inference: pipeline.Inference,
    found: dict[str, Any],
) -> dict[str, Any]:
    """Everything that was measured, as it goes into the JSON file."""
    labels, seconds = experiment.labels, timed.summary()
    before, after = clear.logits.argmax(axis=1), inference.logits.argmax(axis=1)
    warm = seconds["evaluate"]["warm"]
    rows = [
        {"image": n, "label": int(labels[n]), "predicted_clear": int(before[n]), "predicted": int(after[n])}
        for n in shown(labels, after)
    ]
    return {
        **found,
        "correct_encrypted": int(np.sum(after == labels)),
        "agreeing": int(np.sum(before == after)),
        "largest_error": float(np.max(np.abs(clear.logits - inference.logits))),
        "error": resnet.root_mean_square(clear.logits - inference.logits),
        "predicted_error": float(program.plan.predicted_errors[0]),
        "largest_logit": float(np.max(np.abs(clear.logits))),
        "encrypted": rows,
        "parameters": pipeline.describe_parameters(program.params),
        "predicted_seconds": float(program.plan.predicted_seconds),
        "predicted_memory_bytes": float(predicted_memory(program.plan)),
        "seconds": seconds,
        "images_per_hour": None if warm is None else found["batch"] / warm * 3600,
        "bytes": inference.bytes,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }


def shown(labels: np.ndarray, found: np.ndarray) -> list[int]:
    """Choose the images to show: the first that are right, then the first mistakes."""
    wrong = np.flatnonzero(found != labels)[:MISTAKES].tolist()
    return [*np.flatnonzero(found == labels)[: resnet_picture.SHOWN - len(wrong)].tolist(), *wrong]


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.cifar10"))
