"""The run in the clear that an encrypted one is compared with, and the same with noise; both take seconds."""

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.encrypted_training.networks import MOMENTUM, Disturbances, Parameters
from experiments.encrypted_training.training import Training, classes_of

Carried = tuple[Parameters, Parameters]


@dataclass(frozen=True)
class ClearRun:
    """All steps of a training in the clear.

    Attributes:
        parameters: nested like the network's, float32 (steps + 1, ...): at first and after each step.
        momenta: likewise.
        accuracy: of the test split after each step, (steps,).
        magnitudes: the largest magnitude of each value in each step, (steps,), by its name.
    """

    parameters: Parameters
    momenta: Parameters
    accuracy: np.ndarray
    magnitudes: Mapping[str, np.ndarray]

    def parameters_after(self, steps: int) -> Parameters:
        """The parameters after so many steps."""
        return jax.tree.map(lambda leaf: leaf[steps], self.parameters)


def clear_run(training: Training, noise_bits: float | None = None, seed: int = 0) -> ClearRun:
    """The run in the clear, compiled as one loop.

    Args:
        training: what is run.
        noise_bits: with it values are disturbed as encryption would do: parameters and momenta after each
            step, outputs of layers and gradients by them, each by normal noise whose deviation is
            2^-noise_bits of the magnitude that is declared for it.
        seed: of the noise.
    """
    deviation = np.float32(0.0 if noise_bits is None else 2.0**-noise_bits)
    start = training.parameters, training.momenta
    keys = jax.random.split(jax.random.key(seed), len(training.batches))
    found = _compiled(training)(jax.tree.map(jnp.asarray, start), training.batches, keys, deviation)
    after, right, magnitudes = jax.tree.map(np.asarray, found)
    parameters, momenta = jax.tree.map(lambda a, b: np.concatenate([a[None], b]), start, after)
    return ClearRun(parameters, momenta, right, magnitudes)


@functools.lru_cache(maxsize=1)
def _compiled(training: Training) -> Callable:
    """The loop of all steps, a function of what they start from, the batches, random keys and the noise."""
    data = training.data
    tests, labels = jnp.asarray(data.test_inputs), jnp.asarray(data.test_labels)
    inputs, targets = jnp.asarray(data.inputs), jnp.asarray(data.targets)

    def turn(carried: Carried, step: Any, deviation: jax.Array) -> tuple[Carried, Any]:
        """One step, and what is noted of it."""
        chosen, key = step
        first, second = jax.random.split(key)
        x = inputs[chosen]
        disturb = _disturbances(training, carried[0], x, first, deviation)
        after = _noisy(training, training.step(*carried, x, targets[chosen], disturb), second, deviation)
        right = classes_of(training.preactivations(after[0], tests)[-1]) == labels
        return after, (after, jnp.mean(right.astype(jnp.float32)), _magnitudes(training, carried, after, x))

    @jax.jit
    def run(start: Carried, batches: jax.Array, keys: jax.Array, deviation: jax.Array) -> Any:
        """All steps."""
        return jax.lax.scan(lambda carried, step: turn(carried, step, deviation), start, (batches, keys))[1]

    return run


def _disturbances(
    training: Training, parameters: Parameters, x: jax.Array, key: jax.Array, deviation: jax.Array
) -> Disturbances:
    """The noise of each layer's outputs and of the gradients by them, which are means over the batch."""
    outputs = jax.eval_shape(training.preactivations, parameters, x)
    scale = training.recipe.preactivations * deviation
    widths = np.cumsum([0, *[output.shape[1] for output in outputs]])
    forward, backward = jax.random.normal(key, (2, len(x), widths[-1])) * scale
    parts = [slice(a, b) for a, b in itertools.pairwise(widths)]
    return [(forward[:, part], backward[:, part] / len(x)) for part in parts]


def _noisy(training: Training, carried: Carried, key: jax.Array, deviation: jax.Array) -> Carried:
    """The parameters and momenta with noise."""
    first, second = jax.random.split(key)
    parameters = _noisy_tree(carried[0], first, training.recipe.parameters * deviation)
    return parameters, _noisy_tree(carried[1], second, training.recipe.momenta * deviation)


def _noisy_tree(tree: Parameters, key: jax.Array, deviation: jax.Array) -> Parameters:
    """The numbers of a tree with noise of one deviation, all drawn at once."""
    flat, nested = ravel_pytree(tree)
    return nested(flat + deviation * jax.random.normal(key, flat.shape))


def _magnitudes(training: Training, before: Carried, after: Carried, x: jax.Array) -> dict[str, jax.Array]:
    """The largest magnitudes of one step, by name."""
    layers = training.preactivations(before[0], x)
    gradients = jax.tree.map(lambda new, old: new - MOMENTUM * old, after[1], before[1])
    found = {f"outputs of layer {number}": value for number, value in enumerate(layers, 1)}
    for what, tree in (("", after[0]), ("momentum of the ", after[1]), ("gradient of the ", gradients)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            found[f"{what}{path[-1].key} of layer {1 + path[-2].key}"] = leaf
    return {name: jnp.max(jnp.abs(value)) for name, value in found.items()}
