"""Training that goes on from a residual network's weights, and can be stopped and gone on with.

    python -m experiments.resnet --train --data-dir CIFAR --folder run --output resnet20.safetensors

Polynomials are static, colours limited as a client does, and images that go far in any activation cost
(`fhejax.nn.training.bounded_training`). What is read and written between two runs is one file in the folder.
"""

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from tqdm import tqdm

from experiments import table
from experiments.resnet_ranges import clear_run
from fhejax import nn
from fhejax.ckks.files.atomic_file import replaced

HELD_OUT = 5_000  # of the training images, the last ones
SAVE_EVERY = 25
PREPARED_TOGETHER = 1_000

State = TypeVar("State")
Config = nn.BoundedTraining | nn.TrainingConfig


def run(
    network: nn.Network,
    preparation: nn.Preparation,
    dataset: nn.Dataset,
    config: nn.BoundedTraining,
    folder: Path | None,
    held_out: int = HELD_OUT,
) -> tuple[nn.Network, dict[str, Any]]:
    """Train on all training images but those held out; return the network, and what was measured."""
    images = prepared(preparation, dataset.train_images[:-held_out])
    labels = dataset.train_labels[:-held_out]
    start, step, trained = nn.bounded_training(network, images, labels, config, nn.shift_and_flip)
    state = start if folder is None else read(folder, start, config)
    begun, began = time.perf_counter(), int(state.step)
    state, losses = take_steps(state, step, config, folder)
    results = {
        "name": "Training with static polynomials",
        "steps": int(state.step),
        "seconds": time.perf_counter() - begun,
        "steps_of_this_run": int(state.step) - began,
        "mean_loss": float(np.mean(losses)) if losses else None,
    }
    after = trained(state)
    networks = {"before": network, "after": after}
    return after, results | measured_halves(networks, preparation, dataset, held_out)


def measured_halves(
    networks: dict[str, nn.Network], preparation: nn.Preparation, dataset: nn.Dataset, held_out: int
) -> dict[str, dict[str, dict[str, float]]]:
    """What `measured` says of each network on training images that were held out, and on the test images."""
    halves = {
        "held_out": (dataset.train_images[-held_out:], dataset.train_labels[-held_out:]),
        "test": (dataset.test_images, dataset.test_labels),
    }
    return {
        name: {when: measured(network, preparation, *half) for when, network in networks.items()}
        for name, half in halves.items()
    }


def prepared(preparation: nn.Preparation, images: np.ndarray) -> np.ndarray:
    """Prepare images, some at a time, for it takes several float64 copies."""
    result = np.empty(images.shape, np.float32)
    for start in range(0, len(images), PREPARED_TOGETHER):
        part = slice(start, start + PREPARED_TOGETHER)
        result[part] = preparation(images[part])
    return result


def take_steps(
    state: nn.BoundedState, step: Callable, config: nn.BoundedTraining, folder: Path | None
) -> tuple[nn.BoundedState, list[float]]:
    """Take the steps that are left, with a bar; write the state now and then, and at the end."""
    losses: list[float] = []
    done = int(state.step)
    with tqdm(total=config.steps, initial=done, desc="training", unit="step", leave=False) as bar:
        while done < config.steps:
            state, metrics = step(state)
            done += 1
            losses.append(metrics["loss"])
            bar.set_postfix({name: f"{value:.3f}" for name, value in metrics.items()})
            bar.update()
            if folder is not None and (done % SAVE_EVERY == 0 or done == config.steps):
                write(folder, state, config)
    return state, losses


def measured(
    network: nn.Network, preparation: nn.Preparation, images: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Accuracy in percent, and the largest magnitude of what any activation is given."""
    found = clear_run(network, preparation, images)
    right = np.mean(found.logits.argmax(axis=1) == labels)
    largest = found.largest[np.isfinite(found.largest).all(axis=1)]
    return {
        "accuracy": round(100 * float(right), 2),
        "largest": float(largest.max(initial=0.0)),
        "not_finite": len(found.largest) - len(largest),
    }


def write(folder: Path, state: Any, config: Config) -> None:
    """Write the state of a training, a pytree, to the folder; the file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    leaves = {f"{number:04}": np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(state))}
    with replaced(folder / "training.safetensors", 0o666) as stream:
        stream.write(safetensors.numpy.save(leaves, {"config": _text(config)}))


def read(folder: Path, start: State, config: Config) -> State:
    """The state in a folder, or the first one where there is none.

    Raises:
        SystemExit: a state of another training.
    """
    path = folder / "training.safetensors"
    if not path.exists():
        return start
    leaves, structure = jax.tree.flatten(start)
    with safetensors.safe_open(path, "numpy") as file:
        arrays = [file.get_tensor(name) for name in sorted(file.keys())]
        same = (file.metadata() or {}).get("config") == _text(config)
    shapes = [(array.shape, array.dtype) for array in arrays]
    if not same or shapes != [(leaf.shape, leaf.dtype) for leaf in leaves]:
        raise SystemExit(
            f"the file {path} holds the state of another training: another network, data or recipe. Name an "
            "empty folder, or give the arguments of that run."
        )
    return jax.tree.unflatten(structure, map(jnp.asarray, arrays))


def render(results: dict[str, Any]) -> str:
    """Return the outcome as aligned text."""
    count = f"{results['steps']} steps" if "steps" in results else f"{results['epochs']} epochs"
    lines = [f"{results['name']}: {count}"]
    for half, title in (("held_out", "held-out training images"), ("test", "test images")):
        for when, found in results[half].items():
            note = f"largest pre-activation {found['largest']:.1f}, {found['not_finite']} not finite"
            lines.append(table.line(f"{title}, {when}", f"{found['accuracy']:.2f} %", note))
    if results.get("steps_of_this_run"):
        each = results["seconds"] / results["steps_of_this_run"]
        lines.append(table.line("a step", table.seconds(each), f"mean loss {results['mean_loss']:.3f}"))
    return "\n".join(lines)


def _text(config: Config) -> str:
    return json.dumps(dataclasses.asdict(config), sort_keys=True)
