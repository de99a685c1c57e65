"""Train a linear or logistic regression on encrypted data, labels and weights, by plain jax.grad.

    python -m experiments.regression --loss logistic
    python -m experiments.regression --loss logistic --steps 1 --calls 10

Two steps of gradient descent run as one program. With more calls the weights that one call returns,
encrypted, are the next one's arguments: they are bootstrapped at the end of each. The tumours come with
scikit-learn: nothing is downloaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA

import fhejax
from benchmarks.machine import describe_machine, peak_memory_bytes
from experiments import checkpoints, pipeline, table
from fhejax import approx
from fhejax.ckks.bootstrapping import BootstrappingKeys

SOFTPLUS = approx.chebyshev("softplus", 4, (-6.0, 6.0))
Model = dict[str, Any]


@dataclass(frozen=True)
class Arguments:
    """Fit scikit-learn's breast cancer data, encrypted, and compare every step with the clear one.

    Attributes:
        loss: cross entropy with a polynomial softplus of degree 4, or the squared error.
        samples: how many of the 569 tumours to learn from; the others are tested on.
        features: principal components of the 30 measurements.
        steps: of gradient descent in one call.
        calls: how often the program is called, each time with the weights that it returned before.
        rate: the learning rate; by default 8 for logistic and 0.8 for linear regression.
        repeats: further runs, for the median of warm times.
        precision_bits: -log2 of the relative error to be left in the weights.
        json: file to write all results to.
        folder: of a run of several calls: keys (the secret one too), uploads and the result of each call. A
            run that was stopped goes on from there, to the same ciphertexts.
        cache: folder of compiled kernels, so that a later start is quick; None for no folder. What
            lies in it is executed, so nobody else may be able to write to it.
        insecure_log_degree: a ring of degree 2**this WITHOUT ANY SECURITY, for quick tests only.
    """

    loss: Literal["logistic", "linear"] = "logistic"
    samples: int = 512
    features: int = 6
    steps: int = 2
    calls: int = 1
    rate: float | None = None
    repeats: int = 3
    precision_bits: float = 10.0
    json: Path | None = None
    folder: Path | None = None
    cache: Path | None = pipeline.CACHE
    insecure_log_degree: int | None = None


@dataclass(frozen=True)
class Data:
    """Measurements [sample, feature] in [-1, 1] and labels 0 or 1, to learn from and to test."""

    train: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def main(arguments: Arguments) -> dict[str, Any]:
    """Run the experiment, print one table; return its numbers."""
    check(arguments)
    pipeline.use_cache(arguments.cache)
    data = load_data(arguments.samples, arguments.features)
    train = training(arguments)
    model = {"weights": np.zeros(arguments.features, np.float32), "bias": np.zeros((), np.float32)}
    if arguments.calls > 1:
        return run_calls(arguments, train, model, data)
    with pipeline.stages(5 + 3 * arguments.repeats) as timed:
        program = timed("compile", compile_training, train, model, data, arguments)
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        secret, keys = timed("keys", program.keygen)
        for _ in range(1 + arguments.repeats):
            ciphertexts = timed("encrypt", program.encrypt, secret, model, *data.train)
            result = timed("evaluate", program, keys, *ciphertexts)
            encrypted = timed("decrypt", program.decrypt, secret, result)
    clear = program.clear(model, *data.train)
    errors = [program.plan.predicted_errors[i : i + 2] for i in range(0, 2 * arguments.steps, 2)]
    results = summarise(arguments, program, data, list(zip(clear, encrypted, errors, strict=True)), timed)
    return finished(arguments, results, keys, ciphertexts)


def run_calls(arguments: Arguments, train: Callable, model: Model, data: Data) -> dict[str, Any]:
    """Call one program again and again with the encrypted weights that it returned; return all numbers."""
    with pipeline.stages(4 + 3 * arguments.calls) as timed:
        program = timed("compile", compile_carried, train, model, data, arguments)
        timed.bar.write(f"The program, before any key exists\n\n{program.report()}\n")
        first = (model, *data.train)
        dry = timed("dry run", program.dry_run, [first, *[(None, *data.train)] * (arguments.calls - 1)])
        folder = arguments.folder
        if folder is None:
            secret, keys = timed("keys", program.keygen)
            ciphertexts = timed("encrypt", program.encrypt, secret, *first)
        else:
            checkpoints.check_program(folder, program)
            secret, keys = timed("keys", checkpoints.keys_of, folder, program)
            ciphertexts = timed("encrypt", checkpoints.uploads_of, folder, program, secret, first)
        weights, encrypted = ciphertexts[0], []
        for number in range(1, arguments.calls + 1):
            call = keys, weights, *ciphertexts[1:]
            if folder is None:
                result = timed("evaluate", program, *call)
            else:
                result = timed("evaluate", checkpoints.result_of_call, folder, number, program, *call)
            encrypted += timed("decrypt", program.decrypt, secret, result)
            weights = result[-1]
    clear = [models for call in dry for models in call.results]
    errors = [call.predicted_errors[i : i + 2] for call in dry for i in range(0, 2 * arguments.steps, 2)]
    results = summarise(arguments, program, data, list(zip(clear, encrypted, errors, strict=True)), timed)
    return finished(arguments, results, keys, ciphertexts)


def finished(arguments: Arguments, results: dict[str, Any], keys: Any, ciphertexts: Any) -> dict[str, Any]:
    """Print the results, with what the keys and the data weigh, and write them where that is wanted."""
    results["bytes"] = {
        "keys": key_bytes(keys),
        "data": sum(leaf.nbytes for leaf in jax.tree.leaves(ciphertexts)),
    }
    print(render(results))
    if arguments.json:
        pipeline.write_json(arguments.json, results)
    return results


def key_bytes(keys: Any) -> int:
    """The bytes of evaluation keys on the wire, those of bootstraps included."""
    if not isinstance(keys, BootstrappingKeys):
        return keys.wire_bytes
    assert keys.evaluation is not None and keys.sparse_to_dense is not None
    return keys.evaluation.wire_bytes + keys.sparse_to_dense.wire_bytes


def check(arguments: Arguments) -> None:
    """Refuse what cannot be run, before anything is computed."""
    pipeline.check_writable(arguments.json)
    limits = {"samples": (2, 568), "features": (1, 30), "steps": (1, 8), "repeats": (0, 1000)}
    limits["calls"] = (1, 1000)
    for name, bounds in limits.items():
        pipeline.check_range(f"--{name}", getattr(arguments, name), *bounds)


def load_data(samples: int, features: int) -> Data:
    """Principal components of the measurements, two deviations of the first of them to [-1, 1]."""
    measurements, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = measurements[order], labels[order].astype(np.float32)
    mean, spread = x[:samples].mean(0), x[:samples].std(0)
    analysis = PCA(features, random_state=0).fit((x[:samples] - mean) / spread)
    components = analysis.transform((x - mean) / spread)
    components = np.clip(components / (2 * components[:samples, 0].std()), -1, 1).astype(np.float32)
    return Data((components[:samples], y[:samples]), (components[samples:], y[samples:]))


def training(arguments: Arguments) -> Callable[[Model, jax.Array, jax.Array], list[Model]]:
    """The function that is compiled: the models after every step."""
    rate = arguments.rate or {"logistic": 8.0, "linear": 0.8}[arguments.loss]
    gradient = jax.grad({"logistic": cross_entropy, "linear": squared_error}[arguments.loss])

    def train(model: Model, x: jax.Array, y: jax.Array) -> list[Model]:
        models = []
        for _ in range(arguments.steps):
            model = jax.tree.map(lambda p, g: p - rate * g, model, gradient(model, x, y))
            models.append(model)
        return models

    return train


def cross_entropy(model: Model, x: jax.Array, y: jax.Array) -> jax.Array:
    """Of labels 0 and 1 with a polynomial in place of softplus, whose derivative stands for the sigmoid."""
    z = x @ model["weights"] + model["bias"]
    return jnp.mean(SOFTPLUS(z) - y * z)


def squared_error(model: Model, x: jax.Array, y: jax.Array) -> jax.Array:
    """Of predictions that should be -1 or 1."""
    return jnp.mean((x @ model["weights"] + model["bias"] - (2 * y - 1)) ** 2)


def compile_training(train: Callable, model: Model, data: Data, arguments: Arguments) -> fhejax.Program:
    """Plan the training for encrypted weights in [-1, 1], data and labels."""
    x, y = data.train
    described = {name: fhejax.Encrypted(value.shape, batch_axis=None) for name, value in model.items()}
    try:
        return fhejax.compile(
            train,
            described,
            fhejax.Encrypted(x.shape),
            fhejax.Encrypted(y.shape, range=(0, 1)),
            precision_bits=arguments.precision_bits,
            sample=(*jax.tree.leaves(model), x, y),
            insecure_log_degree=arguments.insecure_log_degree,
        )
    except fhejax.TooDeepError as error:
        raise SystemExit(str(error)) from error


def compile_carried(train: Callable, model: Model, data: Data, arguments: Arguments) -> fhejax.Program:
    """Plan a call whose weights may be the next call's.

    Values are bounded by four times those at the weights where training leads, for at the first ones, zero,
    most are zero. Weights have room for twice as many.
    """
    x, y = data.train
    for _ in range(arguments.calls):
        *_, model = jax.tree.map(np.asarray, train(model, x, y))
    largest = 2.0 * max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(model))
    described = {
        name: fhejax.Encrypted(value.shape, range=(-largest, largest), batch_axis=None)
        for name, value in model.items()
    }
    return fhejax.compile(
        train,
        described,
        fhejax.Encrypted(x.shape),
        fhejax.Encrypted(y.shape, range=(0, 1)),
        carry={arguments.steps - 1: 0},
        precision_bits=arguments.precision_bits,
        sample=(*jax.tree.leaves(model), x, y),
        margin=4,
        insecure_log_degree=arguments.insecure_log_degree,
    )


def summarise(
    arguments: Arguments,
    program: fhejax.Program,
    data: Data,
    steps: list[tuple[Model, Model, tuple[float, ...]]],
    timed: pipeline.Stages,
) -> dict[str, Any]:
    """Everything that was measured, as it goes into the JSON file.

    Args:
        arguments: of the experiment.
        program: that ran.
        data: to learn from and to test on.
        steps: the clear model after each step, the decrypted one, and the predicted errors of its two arrays.
        timed: the stages.
    """
    return {
        "name": f"{arguments.loss.capitalize()} regression",
        "samples": arguments.samples,
        "test_samples": len(data.test[1]),
        "features": arguments.features,
        "steps": [describe_step(clear, found, np.array(errors), data.test) for clear, found, errors in steps],
        "parameters": pipeline.describe_parameters(program.params),
        "depth": program.plan.depth,
        "seconds": timed.summary(),
        "peak_memory_bytes": peak_memory_bytes(),
        "machine": describe_machine(),
    }


def describe_step(
    clear: Model, encrypted: Model, predicted: np.ndarray, test: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    """The weights after one step, their errors as root mean squares, and how many test labels are right."""
    values = [[float(m["bias"]), *map(float, m["weights"])] for m in (clear, encrypted)]
    shares = np.array([1, len(clear["weights"])]) / (1 + len(clear["weights"]))
    return {
        "clear": values[0],
        "encrypted": values[1],
        "predicted_error": float(np.sqrt(shares @ predicted**2)),
        "measured_error": float(np.sqrt(np.mean(np.subtract(*values) ** 2))),
        "correct_clear": correct(clear, *test),
        "correct_encrypted": correct(encrypted, *test),
    }


def correct(model: Model, x: np.ndarray, y: np.ndarray) -> int:
    """How many labels the sign of the prediction gives right."""
    return int(np.sum((x @ model["weights"] + model["bias"] > 0) == (y > 0.5)))


def render(results: dict[str, Any]) -> str:
    """Return all results, in lines of at most 100 characters."""
    parts = [_step(results, number) for number in range(len(results["steps"]))]
    parts += [table.security(results), _times(results), table.machine(results)]
    return table.paragraphs([_head(results), *parts])


def _head(results: dict[str, Any]) -> list[str]:
    return [
        f"{results['name']}: {results['samples']} tumours, {results['features']} components, "
        f"{len(results['steps'])} steps; data, labels and weights encrypted",
        f"depth {results['depth']}: products of encrypted values in a row",
    ]


def _step(results: dict[str, Any], number: int) -> list[str]:
    step, total = results["steps"][number], results["test_samples"]
    names = ["bias", *(f"weight {i + 1}" for i in range(results["features"]))]
    lines = [f"step {number + 1:<19}{'clear':>12}{'encrypted':>12}{'error':>12}"]
    for name, clear, encrypted in zip(names, step["clear"], step["encrypted"], strict=True):
        lines.append(f"  {name:<22}{clear:>12.6f}{encrypted:>12.6f}{encrypted - clear:>12.1e}")
    return [
        *lines,
        f"  error, root mean square: {step['measured_error']:.1e} measured, "
        f"{step['predicted_error']:.1e} predicted",
        f"  test labels right: {step['correct_clear']} of {total} in the clear, "
        f"{step['correct_encrypted']} of {total} encrypted",
    ]


def _times(results: dict[str, Any]) -> list[str]:
    sizes = results["bytes"]
    return [
        *table.stages(results["seconds"], {}),
        table.line("evaluation keys", table.size(sizes["keys"]), "on the wire, seeded"),
        table.line("encrypted data", table.size(sizes["data"]), "in memory"),
        table.peak_memory(results),
    ]


if __name__ == "__main__":
    main(tyro.cli(Arguments, prog="python -m experiments.regression"))
