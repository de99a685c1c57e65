"""Progressive replacement, from ReLU to polynomials, one activation after the other: SmartPAF.

It is SmartPAF's schedule (arXiv 2404.03216, 2024); its other parts are `tune_coefficients`, and the
scalings "dynamic" in training and static after `fold_activations`.
"""

import itertools
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.typing import ArrayLike

from fhejax.approx.checks import check_count
from fhejax.nn.activations.polynomial_activation import Activation, Coefficients, ExactActivation
from fhejax.nn.activations.replacement import activation_layers, replace_activation
from fhejax.nn.modules import AnyModule
from fhejax.nn.training.coefficient_tuning import fit_activation, profile
from fhejax.nn.training.training_loop import Epoch, TrainingConfig, train

Schedule = Callable[[int], int]
MakeActivation = Callable[[np.ndarray], Activation]


def replacement_schedule(count: int, period: int, start: int = 0) -> Schedule:
    """A schedule: how many of `count` activations, from the first, are replaced at an epoch.

    Args:
        count: the number of activations.
        period: the epochs from one replacement to the next, at least 1.
        start: the epoch of the first replacement.

    Returns:
        A function of the epoch: 0 before `start`, then one more every `period` epochs, until all are.

    Raises:
        TypeError: no integers.
        ValueError: negative numbers, or a period of 0.
    """
    count, start = check_count(count, "number of activations"), check_count(start, "first epoch")
    period = _check_period(period)
    return lambda epoch: 0 if epoch < start else min(count, (epoch - start) // period + 1)


def alternate(
    coefficients: optax.GradientTransformation | None = None,
    weights: optax.GradientTransformation | None = None,
    *,
    period: int = 100,
) -> optax.GradientTransformation:
    """An optimiser that moves activations for `period` steps, then everything else, and so on.

    The group whose turn it is not keeps its parameters and its moments. It is for the parameters of
    `nnx.split(model, nnx.Param, ...)` or `nnx.state(model, nnx.Param)`, as in `train(optimiser=...)`.

    Args:
        coefficients: updates the coefficients and trained ranges of polynomial activations; by default
            Adam with SmartPAF's rate 1e-4.
        weights: updates the other parameters; by default Adam with SmartPAF's rate 1e-5.
        period: the steps of each turn, at least 1.

    Raises:
        TypeError: a period that is no integer.
        ValueError: a period below 1.
    """
    period = _check_period(period)
    coefficients = optax.adam(1e-4) if coefficients is None else coefficients
    weights = optax.adam(1e-5) if weights is None else weights
    groups: dict[Hashable, optax.GradientTransformation] = {
        "coefficients": optax.conditionally_mask(coefficients, _turn(period, 0)),
        "weights": optax.conditionally_mask(weights, _turn(period, 1)),
    }
    return optax.multi_transform(groups, parameter_groups)


def _turn(period: int, group: int) -> Callable[..., jax.Array]:
    """The function of a step that says if it is the turn of group 0 or 1, `period` steps each."""

    def is_due(step: ArrayLike) -> jax.Array:
        return (jnp.asarray(step) // period) % 2 == group

    return is_due


def parameter_groups(parameters: Any) -> Any:
    """The tree of parameters with "coefficients" for what shapes activations and "weights" for the rest.

    These are the labels of `optax.multi_transform`.

    Args:
        parameters: an `nnx.State` of parameters.
    """

    def label(variable: Any) -> Any:
        group = "coefficients" if isinstance(variable, Coefficients) else "weights"
        return jax.tree.map(lambda _: group, variable)

    return jax.tree.map(label, parameters, is_leaf=lambda node: isinstance(node, nnx.Variable))


def train_progressively(
    network: AnyModule,
    images: np.ndarray,
    labels: np.ndarray,
    config: TrainingConfig,
    *,
    schedule: Schedule,
    make_activation: MakeActivation | None = None,
    samples: int = 512,
    **options: Any,
) -> tuple[AnyModule, tuple[Epoch, ...]]:
    """A copy of `network` trained for `config.epochs`, its exact activations replaced as it goes.

    Each `ExactActivation` is profiled in the network as trained by then. Between two replacements `train`
    runs: each such stage has its own warm-up and decay of the learning rate, and the averaged weights go on.

    Args:
        network: a Flax module with exact activations.
        images: (count, ...) float32.
        labels: (count,) int32.
        config: the numbers of the recipe.
        schedule: for each epoch how many activations are replaced from then on, in order; it must not
            decrease.
        make_activation: the activation for observed inputs (values, channels); by default `fit_activation`
            of degree 4 with dynamic scaling.
        samples: how many of the first images are profiled.
        **options: those of `train`.

    Returns:
        The network in inference mode, and all epochs.

    Raises:
        ValueError: a schedule that decreases or asks for more activations than there are; otherwise as
            `train` and `fit_activation`.
    """
    make = make_activation or _default_activation
    exact = [i for i, layer in enumerate(activation_layers(network)) if isinstance(layer, ExactActivation)]
    done, history = 0, []
    for replaced, epochs in itertools.groupby(range(config.epochs), key=schedule):
        first, *rest = epochs
        _check_schedule(replaced, done, len(exact), first)
        for index in exact[done:replaced]:
            network = replace_activation(network, index, make(profile(network, images[:samples])[index]))
        done = replaced
        stage = replace(config, epochs=1 + len(rest), seed=config.seed + first)
        network, trained = train(network, images, labels, stage, **options)
        history += [replace(epoch, index=first + epoch.index) for epoch in trained]
    return network, tuple(history)


def _default_activation(samples: np.ndarray) -> Activation:
    return fit_activation(samples, 4, scaling="dynamic")


def _check_schedule(replaced: Any, done: int, count: int, epoch: int) -> None:
    if not done <= replaced <= count:
        raise ValueError(
            f"the schedule asks for {replaced} replaced activations in epoch {epoch}, after {done}, of "
            f"{count} exact ones; let it grow from 0 to {count}, as replacement_schedule({count}, ..)."
        )


def _check_period(period: Any) -> int:
    period = check_count(period, "period")
    if period < 1:
        raise ValueError(f"a period is at least 1, but {period} was given.")
    return period
