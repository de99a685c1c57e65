"""What the experiments share: compile, encrypt, evaluate, decrypt, and tell what came out."""

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import picture, table
from fhejax import ckks, nn

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fhejax" / "jax"
VERIFIED_IMAGES = 256


@dataclass(frozen=True)
class Options:
    """What every experiment accepts.

    Attributes:
        plot: PNG file to draw: images with their labels, and the error of every layer.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        repeats: further runs of the last batch, for the median of warm times.
        precision_bits: -log2 of the relative error to be left in the logits.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    plot: Path | None = None
    json: Path | None = None
    cache: Path | None = CACHE
    repeats: int = 3
    precision_bits: float = 10.0
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Experiment:
    """A network on test images, in batches; `make_network`, a stage, trains or reads it."""

    name: str
    dataset: nn.Dataset
    batch: int
    stage: str
    make_network: Callable[[], nn.Network]


@dataclass(frozen=True)
class Stages:
    """Runs one stage after another: seconds of each call until its arrays are ready, and a bar."""

    bar: tqdm
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, name: str, function: Callable, *arguments: Any) -> Any:
        """Return `function(*arguments)`, timed under `name`."""
        self.bar.set_description(f"{name:<8}")
        start = time.perf_counter()
        result = jax.block_until_ready(function(*arguments))
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)
        self.bar.update()
        return result

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Of every stage the seconds of its first call, the median of the others (or None), and all calls."""
        return {
            stage: {"first": first, "warm": median(rest), "calls": 1 + len(rest)}
            for stage, (first, *rest) in self.seconds.items()
        }


@dataclass(frozen=True)
class Inference:
    """Logits `(images, 10)` after decryption, and sizes of what travels or lies in memory."""

    logits: np.ndarray
    bytes: dict[str, int]


def run(experiment: Experiment, options: Options) -> dict[str, Any]:
    """Run `experiment`, print and write what came out, and return it."""
    check_writable(options.plot, options.json)
    if options.repeats < 0:
        raise SystemExit(f"--repeats is {options.repeats}; it must be 0 or more.")
    use_cache(options.cache)
    images, count = experiment.dataset.test_images, len(experiment.dataset.test_images)
    batches = math.ceil(count / experiment.batch)
    with stages(3 + 3 * (batches + options.repeats) + bool(options.plot)) as timed:
        network = timed(experiment.stage, experiment.make_network)
        program = timed("compile", compile_network, network, experiment, options)
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        found = infer(program, images, experiment.batch, timed, options.repeats)
        clear = nn.evaluate(network, images)
        if options.plot:
            verified = images[: min(VERIFIED_IMAGES, experiment.batch)]
            layers = timed("verify", program.verify, verified).layers
    results = summarise(experiment, program, timed, clear, found)
    print(table.render(results))
    if options.json:
        write_json(options.json, results)
    if options.plot:
        predicted = clear.argmax(axis=1), found.logits.argmax(axis=1)
        figure = picture.draw(table.headline(results), experiment.dataset, *predicted, layers)
        save_picture(options.plot, figure)
    return results


def check_writable(*paths: Path | None) -> None:
    """Refuse, before an hour of work, a file in a folder that does not exist."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise SystemExit(f"There is no folder {path.absolute().parent} to write {path.name} to.")


def check_range(option: str, value: int | None, low: int, high: int) -> None:
    """Refuse an option's value, where there is one, that is not from `low` to `high`."""
    if value is not None and not low <= value <= high:
        raise SystemExit(f"{option} is {value}; it must be from {low} to {high}.")


def write_json(path: Path, results: dict[str, Any]) -> None:
    """Write all results; a number that is not finite is an error."""
    path.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")


def save_picture(path: Path, figure: Figure) -> None:
    """Write the picture, and say where it is."""
    figure.savefig(path)
    print(f"\nThe picture is in {path}.")


def use_cache(folder: Path | None) -> None:
    """Keep what XLA compiles in `folder`, readable by its owner alone."""
    if folder is None:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


@contextmanager
def stages(total: int) -> Iterator[Stages]:
    """A progress bar of `total` stages that leaves nothing behind."""
    layout = "{desc} {bar:24} stage {n_fmt} of {total_fmt}, {elapsed}"
    with tqdm(total=total, bar_format=layout, leave=False) as bar:
        yield Stages(bar)


@contextmanager
def counter(what: str) -> Iterator[Callable[[int, int], None]]:
    """A second bar, for a `progress` argument: it is told how many are done, of how many."""
    with tqdm(desc=what, bar_format="{desc} {bar:24} {n_fmt} of {total_fmt}, {elapsed}", leave=False) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def compile_network(network: nn.Network, experiment: Experiment, options: Options) -> fhejax.Program:
    """Plan the network for batches of the experiment; 64 training images predict the precision."""
    try:
        return fhejax.compile(
            nn.inference_view(network),
            fhejax.Encrypted((experiment.batch, *network.image_shape), range=(0, 1)),
            precision_bits=options.precision_bits,
            sample=experiment.dataset.train_images[: min(64, experiment.batch)],
            insecure_log_degree=options.insecure_log_degree,
        )
    except fhejax.TooDeepError as error:
        raise SystemExit(str(error)) from error


def infer(program: fhejax.Program, images: np.ndarray, batch: int, timed: Stages, repeats: int) -> Inference:
    """Classify all images encrypted, `batch` at a time, then the last batch `repeats` times."""
    secret, keys = timed("keys", program.keygen)
    starts = range(0, len(images), batch)
    logits = []
    for start in (*starts, *[starts[-1]] * repeats):
        ciphertext = timed("encrypt", program.encrypt, secret, images[start : start + batch])
        result = timed("evaluate", program, keys, timed("expand", ciphertext.expanded))
        logits.append(timed("decrypt", program.decrypt, secret, result))
    sizes = {"keys": keys.wire_bytes, "images": ciphertext.bytes, "logits": result.bytes}
    return Inference(np.concatenate(logits[: len(starts)]), sizes)


def summarise(
    experiment: Experiment,
    program: fhejax.Program,
    timed: Stages,
    clear: np.ndarray,
    found: Inference,
) -> dict[str, Any]:
    """Everything that was measured, as it goes into the JSON file."""
    labels = experiment.dataset.test_labels
    seconds = timed.summary()
    warm = seconds["evaluate"]["warm"]
    samples = min(experiment.batch, len(labels))
    return {
        "name": experiment.name,
        "images": len(labels),
        "batch": samples,
        "correct_clear": int(np.sum(clear.argmax(axis=1) == labels)),
        "correct_encrypted": int(np.sum(found.logits.argmax(axis=1) == labels)),
        "agreeing": int(np.sum(clear.argmax(axis=1) == found.logits.argmax(axis=1))),
        "largest_error": float(np.max(np.abs(clear - found.logits))),
        "largest_logit": float(np.max(np.abs(clear))),
        "parameters": describe_parameters(program.params),
        "seconds": seconds,
        "images_per_hour": None if warm is None else samples / warm * 3600,
        "bytes": found.bytes,
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }


def decrypt(secret: ckks.SecretKey, ciphertext: ckks.Ciphertext) -> np.ndarray:
    """What the slots hold: float64 (ring slots,), or complex128 in the standard ring."""
    return np.asarray(jax.block_until_ready(ckks.decode(ckks.decrypt(secret, ciphertext))))


def describe_parameters(params: ckks.Parameters) -> dict[str, Any]:
    """Ring and security; a security of 0 means none, for tests."""
    return {
        "security": params.security,
        "log2_modulus": params.modulus_bits,
        "ring_degree": params.ring.degree,
        "conjugate_invariant": params.ring.conjugate_invariant,
        "slots": params.slots,
        "levels": params.depth,
    }


def median(seconds: list[float]) -> float | None:
    """The median, or None where nothing was repeated."""
    return statistics.median(seconds) if seconds else None
