"""Classify real CIFAR-10 images encrypted, one at a time, with ResNet-20.

    python -m experiments.resnet --data-dir CIFAR --images 2 --folder run

CIFAR is a folder with the original binary batches; without it, tensorflow-datasets downloads them
(`pip install -e .[data]`). First all test images are classified in the clear, with a look at what would leave
the range that the program is planned for. Then images travel encrypted. A run with a folder that is stopped
goes on from there.

`--train` goes on with training from the weights instead: `experiments/resnet_training.py`.
"""

import dataclasses
import functools
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from flax import nnx

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import checkpoints, pipeline, resnet_picture, resnet_table, resnet_training
from experiments.mnist import WEIGHTS
from experiments.resnet_ranges import ClearRun, beyond_plan, clear_run
from experiments.trained_network import read_cifar10, trained_network
from fhejax import nn
from fhejax.ckks import SecretKey
from fhejax.ckks.counts import limb_table
from fhejax.program.costs import layers

SIMULATED_AT_ONCE = 100
CANDIDATES, TYPICAL = 500, 4  # training images: looked at for the sample, and in it as they come
COVERED = 0.8  # of how far all candidates go


@dataclass(frozen=True)
class Arguments:
    """Classify images of CIFAR-10 encrypted, one at a time.

    Attributes:
        data_dir: folder with CIFAR-10's six binary batches; tensorflow-datasets without it.
        images: how many test images are classified encrypted.
        first: number of the first of them, from 0.
        simulated: how many test images, from the first on, run in fixed point with predicted noise.
        weights: safetensors file to read.
        folder: of the run: keys (the secret one too), uploads, results within each call and those of each
            image. A run that was stopped goes on from there.
        margin: how many times as large as on the sample values may become.
        precision_bits: -log2 of the relative error to be left in the logits.
        plot: PNG file to draw: the images with their labels.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
        train: go on with training from the weights, and classify nothing encrypted. With a folder, a run that
            was stopped goes on from its last 25 steps.
        steps: of that training.
        rate: its learning rate at first, which falls to 0.
        output: safetensors file to write the trained weights to.
    """

    data_dir: Path | None = None
    images: int = 2
    first: int = 0
    simulated: int = 0
    weights: Path = WEIGHTS / "resnet20.safetensors"
    folder: Path | None = None
    margin: float = 2.0
    precision_bits: float = 9.0
    plot: Path | None = None
    json: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None
    train: bool = False
    steps: int = 800
    rate: float = 0.004
    output: Path | None = None


@dataclass(frozen=True)
class Experiment:
    """A trained network, the preparation of its images, and images in [0, 1] with labels.

    `candidates` are training images, of which the program's sample is chosen.
    """

    name: str
    network: nn.Network
    preparation: nn.Preparation
    candidates: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print its tables; return their numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    network, preparation, dataset = load(arguments)
    if arguments.train:
        return train(network, preparation, dataset, arguments)
    experiment = Experiment(
        "ResNet-20 on CIFAR-10",
        network,
        preparation,
        dataset.train_images[:CANDIDATES].copy(),  # so that the other training images are given back
        dataset.test_images,
        dataset.test_labels,
    )
    del dataset
    return run(experiment, arguments)


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is read."""
    pipeline.check_writable(arguments.plot, arguments.json, arguments.output)
    pipeline.check_range("--images", arguments.images, 1, 10_000)
    pipeline.check_range("--simulated", arguments.simulated, 0, 10_000)
    pipeline.check_range("--first", arguments.first, 0, 10_000 - arguments.images)
    pipeline.check_range("--steps", arguments.steps, 1, 1_000_000)
    if not arguments.margin >= 1:
        raise SystemExit(f"--margin is {arguments.margin}; it must be 1 or more.")
    if not 0 < arguments.rate < 1:
        raise SystemExit(f"--rate is {arguments.rate}; it must be between 0 and 1.")
    if arguments.output is not None and not arguments.train:
        raise SystemExit("--output is where trained weights are written to; it goes with --train.")


def load(arguments: Arguments) -> tuple[nn.ResNet20, nn.Preparation, nn.Dataset]:
    """Read the weights and the data set.

    Raises:
        SystemExit: where either cannot be read, with the reason.
    """
    network, preparation = trained_network(nn.ResNet20(rngs=nnx.Rngs(0)), arguments.weights)
    return network, preparation, read_cifar10(arguments.data_dir)


def train(
    network: nn.Network, preparation: nn.Preparation, dataset: nn.Dataset, arguments: Arguments
) -> dict[str, Any]:
    """Go on with training, print and write what came out, and return it."""
    config = dataclasses.replace(nn.BoundedTraining(), steps=arguments.steps, learning_rate=arguments.rate)
    network, results = resnet_training.run(network, preparation, dataset, config, arguments.folder)
    print(resnet_training.render(results))
    if arguments.output is not None:
        nn.save_weights(network, arguments.output, preparation=preparation)
    if arguments.json:
        pipeline.write_json(arguments.json, results | {"machine": describe_machine()})
    return results


def run(experiment: Experiment, arguments: Arguments) -> dict[str, Any]:
    """Classify all images in the clear and some encrypted; print, write and return what came out."""
    numbers = range(arguments.first, arguments.first + arguments.images)
    with pipeline.stages(3 + (arguments.simulated > 0) + 4 * len(numbers)) as timed:
        clear = timed("clear", classify_clear, experiment, experiment.images)
        chosen, sample = sample_of(experiment)
        beyond = beyond_plan(clear, sample, arguments.margin)
        right = int(np.sum(clear.logits.argmax(axis=1) == experiment.labels))
        found = {"name": experiment.name, "images": len(clear.logits), "correct_clear": right, **beyond}
        timed.bar.write(resnet_table.render_clear(found))
        program = timed("compile", compile_network, experiment, chosen, arguments)
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        counted = counts_of_layers(program)
        timed.bar.write(resnet_table.render_counts(counted))
        if arguments.simulated:
            found |= timed(
                "simulate all", classify_simulated, experiment, program, clear, arguments.simulated
            )
            timed.bar.write(resnet_table.render_simulated(found))
        rows, sizes = classify_encrypted(experiment, program, numbers, arguments.folder, timed)
    results = {
        **found,
        "encrypted": rows,
        "counts_of_layers": counted,
        "predicted_error": float(program.plan.predicted_errors[0]),
        "parameters": pipeline.describe_parameters(program.params),
        "predicted_seconds": float(program.plan.predicted_seconds),
        "seconds": timed.summary(),
        "bytes": sizes,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }
    print(resnet_table.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    if arguments.plot:
        pipeline.save_picture(arguments.plot, resnet_picture.draw(results, experiment.images))
    return results


def classify_clear(experiment: Experiment, images: np.ndarray) -> ClearRun:
    """Run the network on images in the clear, with a bar of its own."""
    with pipeline.counter("images in the clear") as progress:
        return clear_run(experiment.network, experiment.preparation, images, progress)


def sample_of(experiment: Experiment) -> tuple[np.ndarray, ClearRun]:
    """Choose the images that the program is planned on; return them prepared, and how far they go."""
    found = classify_clear(experiment, experiment.candidates)
    chosen = covering(found.largest)
    images = experiment.preparation(experiment.candidates[chosen])
    return images, ClearRun(found.logits[chosen], found.largest[chosen])


def covering(largest: np.ndarray) -> np.ndarray:
    """Choose few images that reach nearly as far as all, in every layer.

    They are the first few as they come, and, while those chosen fall short of `COVERED` of the way somewhere,
    the one that goes furthest in the layer where they fall short most.

    Args:
        largest: the magnitudes [image, layer] that images reach, above 0.

    Returns:
        The numbers of the images, in ascending order.
    """
    chosen, all_of_them = set(range(min(TYPICAL, len(largest)))), largest.max(axis=0)
    while (share := largest[list(chosen)].max(axis=0) / all_of_them).min() < COVERED:
        chosen.add(int(largest[:, share.argmin()].argmax()))
    return np.array(sorted(chosen))


def compile_network(experiment: Experiment, sample: np.ndarray, arguments: Arguments) -> fhejax.Program:
    """Plan the network for one image.

    Raises:
        SystemExit: where no secure ring holds it.
    """
    try:
        return fhejax.compile(
            experiment.network,
            fhejax.Encrypted((1, *experiment.network.image_shape), range=experiment.preparation.range),
            packing="multiplexed",
            precision_bits=arguments.precision_bits,
            sample=sample,
            margin=arguments.margin,
            bootstrapping=False,
            insecure_log_degree=arguments.insecure_log_degree,
        )
    except fhejax.TooDeepError as error:
        raise SystemExit(str(error)) from error


def counts_of_layers(program: fhejax.Program) -> list[dict[str, Any]]:
    """Count what each layer is made of: decompositions, products with keys, divisions by P, and so on."""
    found = layers(program.plan, limb_table(program.params))
    return [
        {"label": layer.label, **{name: getattr(layer.counts, name) for name in resnet_table.COUNTS}}
        for layer in found
    ]


def classify_simulated(
    experiment: Experiment,
    program: fhejax.Program,
    clear: ClearRun,
    count: int,
    together: int = SIMULATED_AT_ONCE,
) -> dict[str, Any]:
    """Run images in fixed point with noise, some together; compare their logits with those in the clear."""
    parts = []
    with pipeline.counter("images simulated") as progress:
        for start in range(0, count, together):
            images = experiment.preparation(experiment.images[start : min(count, start + together)])
            parts.append(program.simulate(images, seed=start))
            progress(start + len(images), count)
    logits, exact, labels = np.concatenate(parts), clear.logits[:count], experiment.labels[:count]
    return {
        "simulated": count,
        "correct_simulated": int(np.sum(logits.argmax(axis=1) == labels)),
        "correct_of_these": int(np.sum(exact.argmax(axis=1) == labels)),
        "labels_equal": int(np.sum(logits.argmax(axis=1) == exact.argmax(axis=1))),
        "simulated_error": root_mean_square(logits - exact),
        "largest_simulated_error": float(np.abs(logits - exact).max()),
    }


def classify_encrypted(
    experiment: Experiment,
    program: fhejax.Program,
    numbers: range,
    folder: Path | None,
    timed: pipeline.Stages,
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Classify images encrypted, one after another; return a row for each, and bytes of what travels."""
    secret, keys = timed("keys", checkpoints.keys_of_run, folder, program)
    assert isinstance(keys, fhejax.ckks.EvaluationKeys)  # for nothing is bootstrapped
    rows, sizes = [], {"keys": keys.wire_bytes}
    for number in numbers:
        image = experiment.preparation(experiment.images[number : number + 1])
        call = encrypted_call(program, secret, keys, image, timed, file_of(folder, number, image))
        rows.append(describe(experiment, program, number, image, *call[:2], timed))
        sizes |= call[2]
    return rows, sizes


def file_of(folder: Path | None, number: int, image: np.ndarray) -> Path | None:
    """The beginning of the names of an image's files: its number, and a digest of what is encrypted."""
    if folder is None:
        return None
    return folder / f"image-{number:05}-{hashlib.sha256(image.tobytes()).hexdigest()[:12]}"


def encrypted_call(
    program: fhejax.Program,
    secret: SecretKey,
    keys: Any,
    image: np.ndarray,
    timed: pipeline.Stages,
    file: Path | None,
) -> tuple[np.ndarray, float | None, dict[str, int]]:
    """Encrypt an image, evaluate, decrypt; return logits (1, classes), seconds of evaluation, bytes of files.

    What the files hold is read; the seconds are those of the run that computed it.
    """
    started = file is not None and file.with_suffix(".result.fhe").exists()
    upload = timed("encrypt", kept, file, "upload", program, lambda: program.encrypt(secret, image))
    start = time.perf_counter()
    folder = None if file is None else file.with_suffix(".call")
    call = functools.partial(program, keys, upload, folder=folder)
    result = timed("evaluate", kept, file, "result", program, call)
    seconds = None if started else time.perf_counter() - start
    if file is not None:
        seconds = noted(file.with_suffix(".seconds.json"), seconds)
    logits = timed("decrypt", program.decrypt, secret, result)
    sizes = {"upload": len(fhejax.to_bytes(upload)), "result": len(fhejax.to_bytes(result))}
    return np.asarray(logits), seconds, sizes


def kept(file: Path | None, what: str, program: fhejax.Program, make: Callable[[], Any]) -> Any:
    """What `make` returns; with a file, what that holds, made and written where it is missing."""
    if file is None:
        return make()
    return checkpoints.kept(file.with_suffix(f".{what}.fhe"), program, lambda: jax.block_until_ready(make()))


def noted(path: Path, seconds: float | None) -> float | None:
    """Write seconds that were measured; return those of a file where none were."""
    if seconds is not None:
        path.write_text(json.dumps(seconds))
        return seconds
    return json.loads(path.read_text()) if path.exists() else None


def describe(
    experiment: Experiment,
    program: fhejax.Program,
    number: int,
    image: np.ndarray,
    logits: np.ndarray,
    seconds: float | None,
    timed: pipeline.Stages,
) -> dict[str, Any]:
    """Compare the decrypted logits of an image with those in the clear and in fixed point."""
    clear = np.asarray(program.clear(image))
    fixed = np.asarray(timed("simulate", program.simulate, image))
    return {
        "image": number,
        "label": int(experiment.labels[number]),
        "predicted_clear": int(clear.argmax()),
        "predicted": int(logits.argmax()),
        "logits_clear": clear[0].tolist(),
        "logits": logits[0].tolist(),
        "rounding": root_mean_square(fixed - clear),
        "noise": root_mean_square(logits - fixed),
        "error": root_mean_square(logits - clear),
        "largest_logit": float(np.abs(clear).max()),
        "seconds": seconds,
    }


def root_mean_square(values: np.ndarray) -> float:
    """The root of the mean of squares."""
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.resnet"))
