"""Train a small network on encrypted data, labels, weights and momenta, by plain jax.grad and optax.

    python -m experiments.encrypted_sgd
    python -m experiments.encrypted_sgd --network 64-32-16-10 --data mnist --data-dir MNIST --dry

Before any key exists the training runs in the clear, and again with noise as large as encryption's; it is
refused where it diverges or leaves what is declared. The digits come with scikit-learn: nothing is
downloaded.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro

from benchmarks.machine import describe_machine
from experiments import pipeline
from experiments.encrypted_training import tables
from experiments.encrypted_training.data import DataName, Reduction
from experiments.encrypted_training.dry_run import DryRun, dry_run
from experiments.encrypted_training.recipes import NetworkName
from experiments.encrypted_training.training import Training, make_training


@dataclass(frozen=True)
class Arguments:
    """Train a network encrypted, and compare it with the same training in the clear.

    Attributes:
        network: sizes of its layers, or HELR's logistic regression of 3 against 8.
        data: scikit-learn's digits, or MNIST.
        data_dir: folder with MNIST's four IDX files; tensorflow-datasets without it.
        reduce: MNIST to 8x8 pixels by averaging, or to 64 principal components.
        steps: of the training; by default those of the recipe.
        batch: samples of a step; by default those of the recipe.
        rate: the learning rate; by default that of the recipe.
        seed: of the first weights and the order of samples.
        precision_bits: -log2 of the noise that each step may leave, of the declared magnitudes.
        dry: stop after the runs in the clear.
        json: file to write all results to.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
    """

    network: NetworkName = "64-32-10"
    data: DataName = "digits"
    data_dir: Path | None = None
    reduce: Reduction = "8x8"
    steps: int | None = None
    batch: int | None = None
    rate: float | None = None
    seed: int = 0
    precision_bits: float = 12.0
    dry: bool = False
    json: Path | None = None
    cache: Path | None = pipeline.CACHE


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    training = training_of(arguments)
    try:
        dry = dry_run(training, arguments.precision_bits)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    results = summarise(training, dry, arguments)
    print(tables.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    return results


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is computed."""
    pipeline.check_writable(arguments.json)
    pipeline.check_range("--steps", arguments.steps, 1, 100_000)
    pipeline.check_range("--batch", arguments.batch, 2, 32_768)


def training_of(arguments: Arguments) -> Training:
    """The training that is asked for, by its recipe but for what is given."""
    changes = {"steps": arguments.steps, "batch": arguments.batch, "rate": arguments.rate}
    where = arguments.network, arguments.data, arguments.reduce, arguments.data_dir, arguments.seed
    try:
        return make_training(*where, **changes)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def summarise(training: Training, dry: DryRun, arguments: Arguments) -> dict[str, Any]:
    """Everything that was found, as it goes into the JSON file."""
    recipe = training.recipe
    return {
        "name": training.name,
        "batch": recipe.batch,
        "steps": recipe.steps,
        "rate": recipe.rate,
        "test_samples": len(training.data.test_labels),
        "parameters_count": sum(leaf.size for leaf in jax.tree.leaves(training.parameters)),
        "noise_bits": arguments.precision_bits,
        "accuracy_clear": dry.clear.accuracy.tolist(),
        "accuracy_noisy": dry.noisy.accuracy.tolist(),
        "magnitudes": {name: float(values.max()) for name, values in dry.clear.magnitudes.items()},
        "declared": {
            "outputs of layers": recipe.preactivations,
            "parameters": recipe.parameters,
            "momenta": recipe.momenta,
        },
        "machine": describe_machine(),
    }


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.encrypted_sgd"))
