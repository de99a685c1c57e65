"""Training that goes on from a network with fixed polynomials and keeps its images within bounds.

Moments of batches play no part, unlike in `HermiteActivation`: what is trained is what will run. Every step
is a function of its number and the state alone, so that a run can be stopped and gone on with at any step.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from fhejax.nn.modules import AnyModule
from fhejax.nn.training.outliers import Moments, input_moments, outputs_and_outliers
from fhejax.nn.training.training_loop import inference_view


@dataclass(frozen=True)
class BoundedTraining:
    """The numbers of a recipe.

    Attributes:
        steps: of the whole run, for the schedule: cosine from the learning rate to 0.
        batch_size: images a step.
        learning_rate: of SGD with Nesterov's momentum 0.9.
        gradient_clip: greatest global norm of a gradient.
        threshold: the deviations within which an activation's input costs nothing.
        outlier_weight: of the penalty of those beyond.
        worst_share: share of a batch that is drawn from the images that went furthest so far.
        worst_images: how many those are.
        moments_every: steps after which means and deviations are measured anew.
        moment_images: on how many images.
        seed: of the order of the images and their augmentation.
    """

    steps: int = 800
    batch_size: int = 128
    learning_rate: float = 0.004
    gradient_clip: float = 1.0
    threshold: float = 7.0
    outlier_weight: float = 0.08
    worst_share: float = 0.1
    worst_images: int = 256
    moments_every: int = 200
    moment_images: int = 512
    seed: int = 0


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("parameters", "optimiser", "moments", "excess", "step"),
    meta_fields=(),
)
@dataclass(frozen=True)
class BoundedState:
    """The state that a step changes; a pytree of arrays.

    Attributes:
        parameters: of the network.
        optimiser: its moments.
        moments: of the activations' inputs.
        excess: the latest penalty of each training image, (images,) float32; 0 where it was not seen yet.
        step: the steps that were taken, an int32 scalar.
    """

    parameters: Any
    optimiser: Any
    moments: Moments
    excess: jax.Array
    step: jax.Array


Augment = Callable[[jax.Array, jax.Array], jax.Array]
Step = Callable[[BoundedState], tuple[BoundedState, dict[str, float]]]


def bounded_training(
    network: AnyModule,
    images: np.ndarray,
    labels: np.ndarray,
    config: BoundedTraining,
    augment: Augment | None = None,
) -> tuple[BoundedState, Step, Callable[[BoundedState], AnyModule]]:
    """The first state of a training, the function that takes one step, and the network of a state.

    Args:
        network: with activations of static polynomials.
        images: (count, ...) float32, prepared.
        labels: (count,) int32.
        config: the numbers of the recipe.
        augment: distorts each batch, as `augment(key, images)`.

    Returns:
        The state; a function from a state to the next one and the step's loss, penalty and accuracy; and a
        function from a state to the trained network, in inference mode.

    Raises:
        ValueError: other numbers of labels than of images, fewer images than a batch, or, at a step, a loss
            that is not finite any more.
    """
    if len(images) != len(labels) or len(images) < config.batch_size:
        raise ValueError(
            f"training in batches of {config.batch_size} needs as many images or more and a label for each, "
            f"but found {len(images)} images and {len(labels)} labels."
        )
    definition, parameters, other = nnx.split(inference_view(network), nnx.Param, ...)
    optimiser = _optimiser(config)
    gradients = jax.jit(functools.partial(_gradients, definition, other, optimiser, config))
    augment = None if augment is None else jax.jit(augment)

    def trained(state: BoundedState) -> AnyModule:
        return nnx.merge(definition, state.parameters, other)

    def measured(state: BoundedState) -> BoundedState:
        return replace(state, moments=input_moments(trained(state), images[: config.moment_images]))

    def step(state: BoundedState) -> tuple[BoundedState, dict[str, float]]:
        number = int(state.step)
        if number and number % config.moments_every == 0:
            state = measured(state)
        rows = chosen_images(np.asarray(state.excess), config, number)
        batch = jnp.asarray(images[rows])
        if augment is not None:
            batch = augment(jax.random.fold_in(jax.random.key(config.seed), number), batch)
        state, metrics = gradients(state, batch, labels[rows], rows)
        found = {name: float(value) for name, value in metrics.items()}
        _check_loss(found["loss"], number)
        return state, found

    excess = jnp.zeros(len(images), jnp.float32)
    first = BoundedState(parameters, optimiser.init(parameters), (), excess, jnp.int32(0))
    return measured(first), step, trained


def chosen_images(excess: np.ndarray, config: BoundedTraining, step: int) -> np.ndarray:
    """The numbers of a step's images, (batch_size,) int32: at random, and some of those that went furthest.

    Args:
        excess: the penalty of each image when it was last seen.
        config: the numbers of the recipe.
        step: the number of the step.
    """
    generator = np.random.default_rng((config.seed, step))
    rows = generator.permutation(len(excess))[: config.batch_size]
    furthest = np.argsort(-excess, kind="stable")[: config.worst_images]
    furthest = furthest[excess[furthest] > 0]
    count = min(round(config.worst_share * config.batch_size), len(furthest))
    fresh = rows[~np.isin(rows, drawn := generator.permutation(furthest)[:count])]
    return np.concatenate([drawn, fresh])[: config.batch_size].astype(np.int32)


def _optimiser(config: BoundedTraining) -> optax.GradientTransformation:
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    return optax.chain(
        optax.clip_by_global_norm(config.gradient_clip), optax.sgd(schedule, momentum=0.9, nesterov=True)
    )


def _gradients(
    definition: Any,
    other: Any,
    optimiser: optax.GradientTransformation,
    config: BoundedTraining,
    state: BoundedState,
    images: jax.Array,
    labels: jax.Array,
    rows: jax.Array,
) -> tuple[BoundedState, dict[str, jax.Array]]:
    """The state after a step on a batch, and the step's numbers."""

    def objective(parameters: Any) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        model = nnx.merge(definition, parameters, other, copy=True)
        logits, excess = outputs_and_outliers(model, images, state.moments, config.threshold)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        hits = jax.lax.argmax(logits, 1, jnp.int32) == labels
        return jnp.mean(losses) + config.outlier_weight * jnp.mean(excess), (excess, hits)

    (loss, (excess, hits)), gradient = jax.value_and_grad(objective, has_aux=True)(state.parameters)
    # Optax raises a float to an integer power, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, moments = optimiser.update(gradient, state.optimiser, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    seen = state.excess.at[rows].set(excess)
    after = replace(state, parameters=parameters, optimiser=moments, excess=seen, step=state.step + 1)
    metrics = {"loss": loss, "excess": jnp.mean(excess), "accuracy": jnp.mean(hits, dtype=jnp.float32)}
    return after, metrics


def _check_loss(loss: float, step: int) -> None:
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} at step {step}: the polynomial network diverged. Lower the learning_rate, "
            "or raise the outlier_weight."
        )
