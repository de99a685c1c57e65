"""Train a small network on encrypted data, labels, weights and momenta, by plain jax.grad and optax.

    python -m experiments.encrypted_sgd
    python -m experiments.encrypted_sgd --network 64-32-16-10 --data mnist --data-dir MNIST --dry
    python -m experiments.encrypted_sgd --network cnn --plan
    python -m experiments.encrypted_sgd --folder run --probe 10 --plot run.png

Before any key exists the training runs in the clear, and again with noise as large as encryption's; it is
refused where it diverges or leaves what is declared. The digits come with scikit-learn: nothing is
downloaded.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import pipeline
from experiments.encrypted_training import pictures, tables
from experiments.encrypted_training.data import DataName, Reduction
from experiments.encrypted_training.dry_run import DryRun, dry_run
from experiments.encrypted_training.encrypted_run import (
    PackingName,
    compile_step,
    holder_of,
    run_calls,
)
from experiments.encrypted_training.networks import Parameters
from experiments.encrypted_training.oracle import predicted_differences
from experiments.encrypted_training.recipes import NetworkName
from experiments.encrypted_training.training import Training, accuracy, make_training


@dataclass(frozen=True)
class RunOptions:
    """How a training is run, whatever is trained.

    Attributes:
        noise_bits: -log2 of the noise, of the declared magnitudes, of each step of the noisy dry run.
        precision_bits: -log2 of the relative error that encryption may leave in the weights of a step.
        dry: stop after the runs in the clear.
        plan: stop after the plan of an encrypted call, with its parameters, key switches and predicted time.
        packing: "tiles", or one number in each ciphertext and a sample in each slot, as in 2019.
        steps_per_call: steps of one call of the program, after which weights and momenta are bootstrapped.
        probe: decrypt the weights at the client after every so many steps; by default after the last alone.
        folder: of the run: keys (the secret one too) and the last results. A run that was stopped goes on
            from there, to the same ciphertexts.
        json: file to write all results to.
        plot: PNG file to draw: accuracy and the difference of weights, by step.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    noise_bits: float = 12.0
    precision_bits: float = 10.0
    dry: bool = False
    plan: bool = False
    packing: PackingName = "tiles"
    steps_per_call: int = 1
    probe: int | None = None
    folder: Path | None = None
    json: Path | None = None
    plot: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Arguments(RunOptions):
    """Train a network encrypted, and compare it with the same training in the clear.

    Attributes:
        network: sizes of its layers; cnn, a convolution and a dense layer; or HELR's logistic regression of
            3 against 8.
        data: scikit-learn's digits, or MNIST.
        data_dir: folder with MNIST's four IDX files; tensorflow-datasets without it.
        reduce: MNIST to 8x8 pixels by averaging, or to 64 principal components.
        steps: of the training; by default those of the recipe.
        batch: samples of a step; by default those of the recipe.
        rate: the learning rate; by default that of the recipe.
        seed: of the first weights and the order of samples.
    """

    network: NetworkName = "64-32-10"
    data: DataName = "digits"
    data_dir: Path | None = None
    reduce: Reduction = "8x8"
    steps: int | None = None
    batch: int | None = None
    rate: float | None = None
    seed: int = 0


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    return run(training_of(arguments), arguments)


def run(training: Training, arguments: RunOptions) -> dict[str, Any]:
    """Run a training, dry and then encrypted; print one table, and return its numbers."""
    training = with_calls(training, arguments)
    try:
        dry = dry_run(training, arguments.noise_bits)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    results = summarise_dry(training, dry, arguments)
    if not arguments.dry:
        results |= run_encrypted(training, dry, arguments)
    results |= {"machine": describe_machine(), "peak_memory_bytes": peak_memory_bytes()}
    print(tables.render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    if arguments.plot:
        pipeline.save_picture(arguments.plot, pictures.draw(results))
    return results


def run_encrypted(training: Training, dry: DryRun, arguments: RunOptions) -> dict[str, Any]:
    """Run all steps on ciphertexts; return what was measured, or predicted where the plan alone is wanted."""
    steps = len(training.batches)
    probed = [n for n in range(1, steps + 1) if n == steps or (arguments.probe and n % arguments.probe == 0)]
    with pipeline.stages(3 + 2 * training.calls() + len(probed)) as timed:
        program = timed(
            "compile",
            compile_step,
            training,
            dry.clear,
            arguments.packing,
            arguments.precision_bits,
            arguments.insecure_log_degree,
        )
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        if arguments.plan:
            return {"predicted_seconds": program.plan.predicted_seconds}
        predicted = timed("dry run", differences_of, training, dry, program)
        holder = timed("keys", holder_of, training, program, arguments.folder)
        probes = []
        for call, (parameters, _) in run_calls(training, holder, timed):
            number = call * training.steps_per_call
            if number in probed:
                opened = timed("decrypt", program.decrypt, holder.secret, parameters)
                probes.append(describe_probe(training, dry, number, opened, float(predicted[number - 1])))
                timed.bar.write(tables.probe_line(probes[-1]))
    return summarise_run(training, program, timed, probes, predicted)


def differences_of(training: Training, dry: DryRun, program: fhejax.Program) -> np.ndarray:
    """The predicted difference of weights from the oracle's after each step.

    The program's own dry run of one call tells what noise a call leaves; it also refuses a first call whose
    results leave their ranges.
    """
    (first,) = program.dry_run([(training.parameters, training.momenta, *training.batches_of(0))])
    return predicted_differences(training, dry.clear, first.predicted_errors)


def describe_probe(
    training: Training, dry: DryRun, number: int, found: Parameters, predicted: float
) -> dict[str, Any]:
    """What the weights after a step are worth, and how far they are from the oracle's (root mean squares)."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(dry.clear.parameters_after(number)), strict=True)
    errors = np.concatenate([(a - b.astype(np.float64)).reshape(-1) for a, b in pairs])
    return {
        "step": number,
        "accuracy": accuracy(training, found),
        "accuracy_clear": float(dry.clear.accuracy[number - 1]),
        "difference": float(np.sqrt(np.mean(errors**2))),
        "largest_difference": float(np.abs(errors).max()),
        "predicted": predicted,
    }


def summarise_run(
    training: Training,
    program: fhejax.Program,
    timed: pipeline.Stages,
    probes: list[dict[str, Any]],
    predicted: np.ndarray,
) -> dict[str, Any]:
    """What was measured of an encrypted run, as it goes into the JSON file."""
    chosen = program.plan.bootstrapping
    bootstraps = program.plan.bootstraps * training.calls()
    return {
        "packing": program.source.packing,
        "probes": probes,
        "predicted_differences": predicted.tolist(),
        "bootstraps": bootstraps,
        "failure_bits": None
        if chosen is None or not np.isfinite(chosen.failure_probability_bits)
        else chosen.failure_probability_bits - float(np.log2(bootstraps)),
        "parameters": pipeline.describe_parameters(program.params) | {"security": program.plan.security},
        "seconds": timed.summary(),
    }


def check_options(options: RunOptions) -> None:
    """Refuse files that cannot be written, and probes that are no number of steps, before any work."""
    pipeline.check_writable(options.json, options.plot)
    pipeline.check_range("--probe", options.probe, 1, 100_000)
    pipeline.check_range("--steps-per-call", options.steps_per_call, 1, 16)


def with_calls(training: Training, options: RunOptions) -> Training:
    """The training in calls of several steps, where that is asked for.

    Raises:
        SystemExit: steps, or those between two probes, that are no whole number of calls.
    """
    each = options.steps_per_call
    for what, count in (("the training", len(training.batches)), ("--probe", options.probe or 0)):
        if count % each:
            raise SystemExit(
                f"{what} has {count} steps, which are no whole number of calls of --steps-per-call {each}; "
                f"take a multiple of it, such as {(count // each + 1) * each}."
            )
    return dataclasses.replace(training, steps_per_call=each)


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is computed."""
    check_options(arguments)
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


def summarise_dry(training: Training, dry: DryRun, arguments: RunOptions) -> dict[str, Any]:
    """Everything that was found, as it goes into the JSON file."""
    recipe = training.recipe
    return {
        "name": training.name,
        "batch": recipe.batch,
        "steps": recipe.steps,
        "steps_per_call": training.steps_per_call,
        "rate": recipe.rate,
        "test_samples": len(training.data.test_labels),
        "parameters_count": sum(leaf.size for leaf in jax.tree.leaves(training.parameters)),
        "noise_bits": arguments.noise_bits,
        "accuracy_clear": dry.clear.accuracy.tolist(),
        "accuracy_noisy": dry.noisy.accuracy.tolist(),
        "magnitudes": {name: float(values.max()) for name, values in dry.clear.magnitudes.items()},
        "declared": {
            "outputs of layers": recipe.preactivations,
            "parameters": recipe.parameters,
            "momenta": recipe.momenta,
        },
    }


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.encrypted_sgd"))
