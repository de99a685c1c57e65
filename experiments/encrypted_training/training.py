"""One training: its data, its step, what it starts from, and the batches it goes through."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.encrypted_training.data import (
    DataName,
    Reduction,
    TrainingData,
    as_images,
    batch_indices,
    load,
    prepare,
    prepare_two_classes,
)
from experiments.encrypted_training.networks import (
    Network,
    Parameters,
    Preactivations,
    Step,
    convolutional,
    cross_entropy,
    make_network,
    make_step,
    perceptron,
    squared_error,
    zero_momenta,
)
from experiments.encrypted_training.recipes import NetworkName, Recipe, recipe_of

WINDOW, MAPS = 4, 8  # of the convolutional network


@dataclass(frozen=True, eq=False)
class Training:
    """What an encrypted run, its oracle and its dry run have in common.

    Attributes:
        name: of the network and the data, as tables print it.
        recipe: the settings.
        data: of the client.
        preactivations: the network: a function of parameters and inputs.
        step: of parameters, momenta, inputs and targets.
        parameters: at first, float32.
        momenta: at first, zero.
        batches: the samples of every step, int (steps, batch).
        steps_per_call: steps that one call of the program takes, between one bootstrap and the next.
    """

    name: str
    recipe: Recipe
    data: TrainingData
    preactivations: Preactivations
    step: Step
    parameters: Parameters
    momenta: Parameters
    batches: np.ndarray
    steps_per_call: int = 1

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The inputs and targets of a step, which count from 0."""
        chosen = self.batches[step]
        return self.data.inputs[chosen], self.data.targets[chosen]

    def calls(self) -> int:
        """The number of calls of a whole run."""
        return len(self.batches) // self.steps_per_call

    def batches_of(self, call: int) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """The inputs and the targets of each step of a call, which count from 0."""
        steps = range(call * self.steps_per_call, (call + 1) * self.steps_per_call)
        inputs, targets = zip(*map(self.batch, steps), strict=True)
        return inputs, targets

    def steps_of_call(
        self,
        parameters: Parameters,
        momenta: Parameters,
        inputs: Sequence[Any],
        targets: Sequence[Any],
    ) -> tuple[Parameters, Parameters]:
        """The steps of one call, one after the other: what is compiled."""
        for x, y in zip(inputs, targets, strict=True):
            parameters, momenta = self.step(parameters, momenta, x, y)
        return parameters, momenta


def make_training(
    network: NetworkName,
    data: DataName,
    reduction: Reduction = "8x8",
    folder: Path | None = None,
    seed: int = 0,
    **changes: Any,
) -> Training:
    """The training of a network on a data set.

    Args:
        network: sizes joined by dashes, "cnn", or "logistic".
        data: the data set.
        reduction: of MNIST to 64 numbers.
        folder: of MNIST's files.
        seed: of the first parameters and the order of samples.
        **changes: of single settings, such as steps=5; None leaves one as it is.

    Raises:
        SystemExit: data that cannot be read.
        ValueError: more samples in a batch than there are, or a convolution of what is no image.
    """
    if network == "cnn" and data == "mnist" and reduction != "8x8":
        raise ValueError(
            f"--network cnn convolves pixels, and --reduce {reduction} leaves none; take --reduce 8x8."
        )
    recipe = recipe_of(network, data, reduction)
    recipe = dataclasses.replace(recipe, **{k: v for k, v in changes.items() if v is not None})
    dataset = load(data, folder)
    two_classes = network == "logistic"
    if two_classes:
        prepared = prepare_two_classes(dataset, recipe.scale)
        built = perceptron([prepared.inputs.shape[1], 1], recipe.gain, seed)
    elif network == "cnn":
        prepared = as_images(prepare(dataset, reduction, recipe.scale))
        size, classes = prepared.inputs.shape[1], prepared.targets.shape[1]
        built = convolutional(size, WINDOW, MAPS, classes, recipe.gain, seed)
    else:
        prepared = prepare(dataset, reduction, recipe.scale)
        built = perceptron([int(size) for size in network.split("-")], recipe.gain, seed)
    name = f"{network} on {described(data, reduction, two_classes)}"
    loss = cross_entropy if two_classes else squared_error
    return training_on(name, prepared, built, loss, recipe, seed)


def training_on(
    name: str, data: TrainingData, network: Network, loss: Callable, recipe: Recipe, seed: int = 0
) -> Training:
    """The training of a network on any data.

    Args:
        name: of the network and the data.
        data: of the client.
        network: with its first parameters.
        loss: of outputs and targets.
        recipe: the settings.
        seed: of the order of samples.

    Raises:
        ValueError: more samples in a batch than there are.
    """
    preactivations, parameters = make_network(network)
    return Training(
        name=name,
        recipe=recipe,
        data=data,
        preactivations=preactivations,
        step=make_step(preactivations, loss, recipe.rate),
        parameters=jax.tree.map(np.asarray, parameters),
        momenta=zero_momenta(parameters),
        batches=batch_indices(len(data.inputs), recipe.batch, recipe.steps, seed),
    )


def described(data: DataName, reduction: Reduction, two_classes: bool) -> str:
    """The data in words."""
    name = {"digits": "digits, 8x8 pixels", "mnist": "MNIST, "}[data]
    if data == "mnist":
        name += "14x14 pixels" if two_classes else {"8x8": "8x8 pixels", "pca": "64 components"}[reduction]
    return name + (", 3 against 8" if two_classes else "")


def classes_of(outputs: jax.Array) -> jax.Array:
    """The class that outputs (samples, classes) stand for; the sign decides where there is one output."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(jnp.int32)
    return jnp.argmax(outputs, 1).astype(jnp.int32)


def accuracy(training: Training, parameters: Parameters) -> float:
    """The share of test samples that a network with these parameters, of any float type, gets right."""
    values = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), parameters)
    found = classes_of(training.preactivations(values, jnp.asarray(training.data.test_inputs))[-1])
    return float(np.mean(np.asarray(found) == training.data.test_labels))
