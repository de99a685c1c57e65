"""The run in the clear that an encrypted one is compared with, and the same with noise; both take seconds."""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.encrypted_training.networks import MOMENTUM, Disturbances, Parameters
from experiments.encrypted_training.training import Training, classes_of

Carried = tuple[Parameters, Parameters]
_DRAWS = 4  # of the noise, over which differences are averaged


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


@dataclass(frozen=True)
class Noise:
    """The deviations of what disturbs a run.

    Attributes:
        outputs: of each layer's outputs; gradients by them, which are means over the batch, have that share.
        carried: of parameters and momenta after each call, nested like these, one number for each array.
        is_alike: whether what is carried gets the same noise after every call.
    """

    outputs: float
    carried: Carried
    is_alike: bool = False


def noise_of_bits(training: Training, bits: float) -> Noise:
    """The noise of 2^-bits of each magnitude that is declared."""
    recipe, deviation = training.recipe, 2.0**-bits
    return Noise(
        recipe.preactivations * deviation,
        (
            jax.tree.map(lambda _: recipe.parameters * deviation, training.parameters),
            jax.tree.map(lambda _: recipe.momenta * deviation, training.momenta),
        ),
    )


def noise_of_errors(training: Training, errors: Sequence[float]) -> Noise:
    """The noise that a program is predicted to leave in what it carries, in the flat order, after every call.

    Most of a bootstrap's error is that of a polynomial in place of a sine, and that of the sine in place of a
    remainder. Both depend on the values, which change little from call to call: the differences that were
    measured grow with the number of calls, and not with its root.
    """
    nesting = jax.tree.structure((training.parameters, training.momenta))
    return Noise(0.0, jax.tree.unflatten(nesting, errors), is_alike=True)


def clear_run(training: Training, noise: Noise | None = None, seed: int = 0) -> ClearRun:
    """The run in the clear, compiled as one loop.

    Args:
        training: what is run.
        noise: normal, that of outputs in every step, that of what is carried in the last one of every call;
            by default none.
        seed: of the noise.
    """
    start = training.parameters, training.momenta
    noise = noise_of_errors(training, [0.0] * len(jax.tree.leaves(start))) if noise is None else noise
    deviations = jax.tree.map(np.float32, (noise.outputs, noise.carried))
    key, of_carried = jax.random.split(jax.random.key(seed))
    count = len(training.batches)
    steps = training.batches, jax.random.split(key, count), _drawn(training, noise.is_alike, of_carried)
    found = _compiled(training)(jax.tree.map(jnp.asarray, start), steps, deviations)
    after, right, magnitudes = jax.tree.map(np.asarray, found)
    parameters, momenta = jax.tree.map(lambda a, b: np.concatenate([a[None], b]), start, after)
    return ClearRun(parameters, momenta, right, magnitudes)


def predicted_differences(training: Training, clear: ClearRun, errors: Sequence[float]) -> np.ndarray:
    """The difference of parameters from the oracle's that noise will have made after each step, (steps,).

    Args:
        training: what is run.
        clear: the oracle.
        errors: that one call leaves in parameters and momenta: the program's prediction.

    Returns:
        Root mean squares over all parameters and a few draws of the noise.
    """
    noise = noise_of_errors(training, errors)
    drawn = [clear_run(training, noise, seed).parameters for seed in range(_DRAWS)]
    squares = [_squared_difference(parameters, clear.parameters) for parameters in drawn]
    return np.sqrt(np.mean(squares, 0))[1:]


def _squared_difference(found: Parameters, expected: Parameters) -> np.ndarray:
    """The mean squared difference over all parameters, (steps + 1,)."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    flat = [(a.astype(np.float64) - b).reshape(len(a), -1) for a, b in pairs]
    return np.mean(np.concatenate(flat, 1) ** 2, 1)


@functools.lru_cache(maxsize=1)
def _compiled(training: Training) -> Callable:
    """The loop of all steps, a function of what they start from, of what each is given, and of the noise."""
    data = training.data
    tests, labels = jnp.asarray(data.test_inputs), jnp.asarray(data.test_labels)
    inputs, targets = jnp.asarray(data.inputs), jnp.asarray(data.targets)

    def turn(carried: Carried, step: Any, deviations: Any) -> tuple[Carried, Any]:
        """One step, and what is noted of it."""
        chosen, key, drawn = step
        x = inputs[chosen]
        disturb = _disturbances(training, carried[0], x, key, deviations[0])
        after = _noisy(training.step(*carried, x, targets[chosen], disturb), drawn, deviations[1])
        right = classes_of(training.preactivations(after[0], tests)[-1]) == labels
        return after, (after, jnp.mean(right.astype(jnp.float32)), _magnitudes(training, carried, after, x))

    @jax.jit
    def run(start: Carried, steps: Any, deviations: Any) -> Any:
        """All steps."""
        return jax.lax.scan(lambda carried, step: turn(carried, step, deviations), start, steps)[1]

    return run


def _disturbances(
    training: Training, parameters: Parameters, x: jax.Array, key: jax.Array, deviation: jax.Array
) -> Disturbances:
    """The noise of each layer's outputs and of the gradients by them, which are means over the batch."""
    outputs = jax.eval_shape(training.preactivations, parameters, x)
    widths = np.cumsum([0, *[output.size // len(x) for output in outputs]])
    forward, backward = jax.random.normal(key, (2, len(x), widths[-1])) * deviation
    parts = zip(outputs, itertools.pairwise(widths), strict=True)
    return [
        tuple(noise[:, a:b].reshape(output.shape) for noise in (forward, backward / len(x)))
        for output, (a, b) in parts
    ]


def _drawn(training: Training, is_alike: bool, key: jax.Array) -> jax.Array:
    """Normal numbers for what is carried, (steps, all numbers): in the last step of a call, else zero."""
    steps = np.arange(1, 1 + len(training.batches))
    lasts = (steps % training.steps_per_call == 0).astype(np.float32)
    numbers = sum(leaf.size for leaf in jax.tree.leaves((training.parameters, training.momenta)))
    return lasts[:, None] * jax.random.normal(key, (1 if is_alike else len(steps), numbers))


def _noisy(carried: Carried, drawn: jax.Array, deviations: Carried) -> Carried:
    """The parameters and momenta with noise of the deviations times what was drawn for all numbers."""
    _, nested = ravel_pytree(carried)
    return jax.tree.map(lambda v, one, deviation: v + deviation * one, carried, nested(drawn), deviations)


def _magnitudes(training: Training, before: Carried, after: Carried, x: jax.Array) -> dict[str, jax.Array]:
    """The largest magnitudes of one step, by name."""
    layers = training.preactivations(before[0], x)
    gradients = jax.tree.map(lambda new, old: new - MOMENTUM * old, after[1], before[1])
    found = {f"outputs of layer {number}": value for number, value in enumerate(layers, 1)}
    for what, tree in (("", after[0]), ("momentum of the ", after[1]), ("gradient of the ", gradients)):
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            found[f"{what}{path[-1].key} of layer {1 + path[-2].key}"] = leaf
    return {name: jnp.max(jnp.abs(value)) for name, value in found.items()}
