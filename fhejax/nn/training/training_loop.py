"""The training loop of every network here: optax, a jitted step, nothing hidden.

The recipe's parts: AdamW with warm-up and a cosine schedule, gradient clipping (Loshchilov and
Hutter, arXiv 1711.05101), label smoothing, an exponential moving average of the weights, and
distillation from a teacher (Hinton, Vinyals and Dean, arXiv 1503.02531).
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from fhejax.nn.modules import AnyModule
from fhejax.nn.training.range_penalty import outputs_and_penalty

Predict = Callable[[jax.Array], jax.Array]
Augment = Callable[[jax.Array, jax.Array], jax.Array]
Batch = tuple[jax.Array, jax.Array]
Images = jax.Array | np.ndarray  # of a batch: on the host until a compiled step takes it
Labels = jax.Array | np.ndarray


@dataclass(frozen=True)
class TrainingConfig:
    """The numbers of a recipe.

    Attributes:
        epochs: passes over the training images.
        batch_size: images a step; the remainder of an epoch is left out, at random.
        learning_rate: peak of the schedule: warm-up over a twentieth of the steps, cosine to 0.
        weight_decay: decoupled decay of arrays with two axes or more (kernels, not biases).
        gradient_clip: greatest global norm of a gradient.
        label_smoothing: share of the target spread evenly over the classes.
        average_decay: of the moving average of weights and statistics, which is what is returned.
        penalty_weight: of the `penalty` passed to `train`.
        range_weight: of `range_penalty`, for the inputs of the polynomial activations.
        range_margin: the share of its interval within which an input is not penalised.
        distillation_weight: share of the loss that compares with the teacher instead of the labels.
        temperature: softens both distributions of the distillation.
        seed: of the order of the images and the augmentation.
    """

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    gradient_clip: float = 1.0
    label_smoothing: float = 0.0
    average_decay: float = 0.999
    penalty_weight: float = 0.0
    range_weight: float = 0.0
    range_margin: float = 0.9
    distillation_weight: float = 0.0
    temperature: float = 2.0
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch: mean loss and accuracy of the training steps."""

    index: int
    loss: float
    accuracy: float


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("parameters", "other", "averaged", "optimiser", "step"),
    meta_fields=(),
)
@dataclass(frozen=True)
class TrainingState:
    """The state that a step changes; `averaged` is the pair (parameters, other)."""

    parameters: Any
    other: Any
    averaged: Any
    optimiser: Any
    step: jax.Array


TrainingStep = Callable[[TrainingState, Images, Labels], tuple[TrainingState, jax.Array]]


def train(
    model: AnyModule,
    images: np.ndarray,
    labels: np.ndarray,
    config: TrainingConfig,
    *,
    augment: Augment | None = None,
    teacher: Predict | None = None,
    penalty: Callable[[AnyModule], jax.Array] | None = None,
    optimiser: optax.GradientTransformation | None = None,
    on_epoch: Callable[[Epoch, Predict], None] | None = None,
    resume: Callable[[TrainingState], TrainingState] | None = None,
    on_state: Callable[[TrainingState], None] | None = None,
) -> tuple[AnyModule, tuple[Epoch, ...]]:
    """A trained copy of `model`, with the averaged weights, and the history of its epochs.

    Args:
        model: a Flax module that maps images to logits (count, classes).
        images: (count, ...) float32.
        labels: (count,) int32.
        config: the numbers of the recipe.
        augment: distorts each batch, as `augment(key, images)`.
        teacher: gives the logits to distil, as `teacher(images)`.
        penalty: a scalar added to the loss, as `penalty(model)`.
        optimiser: takes the place of the recipe's (its learning rate, decay and clipping), for example
            `alternate(..)`.
        on_epoch: is called after each epoch as `on_epoch(epoch, predict)`, with the averaged model.
        resume: gives the state to begin with, as `resume(first)`: the first, or one that `on_state` was given
            in an earlier run of the same training. Epochs that it has behind it are not run again.
        on_state: is called after each epoch with the state, to be written somewhere.

    Raises:
        ValueError: fewer images than one batch, or than labels; a loss that is not finite any more; a
            `range_weight` without a polynomial activation.
    """
    steps = _steps_per_epoch(images, labels, config)
    definition, parameters, other = nnx.split(_training_view(model), nnx.Param, ...)
    optimiser = _optimiser(config, steps * config.epochs) if optimiser is None else optimiser
    step = _with_augmentation(
        _make_step(definition, optimiser, config, teacher, penalty), augment, config.seed
    )
    state = TrainingState(parameters, other, (parameters, other), optimiser.init(parameters), jnp.int32(0))
    state = state if resume is None else resume(state)
    history = []
    for index in range(int(state.step) // steps, config.epochs):
        state, epoch = _run_epoch(step, state, images, labels, config, index)
        history.append(epoch)
        if on_state is not None:
            on_state(state)
        if on_epoch is not None:
            on_epoch(epoch, inference_view(nnx.merge(definition, *state.averaged)))
    return inference_view(nnx.merge(definition, *state.averaged)), tuple(history)


def inference_view(model: AnyModule) -> AnyModule:
    """The model in inference mode, whether or not any layer of it has modes."""
    return nnx.view(model, use_running_average=True, raise_if_not_found=False)


def accuracy(predict: Predict, images: np.ndarray, labels: np.ndarray, batch_size: int = 1000) -> float:
    """The share of the images for which the largest of the logits is the label.

    Args:
        predict: maps a batch of images to logits (batch, classes).
        images: (count, ...) float32.
        labels: (count,) int32.
        batch_size: images at a time.
    """
    return float(np.mean(np.argmax(evaluate(predict, images, batch_size), axis=-1) == labels))


def evaluate(predict: Predict, images: np.ndarray, batch_size: int = 1000) -> np.ndarray:
    """The logits of all images, (count, classes), computed by jitted batches.

    Args:
        predict: maps a batch of images to logits (batch, classes).
        images: (count, ...) float32.
        batch_size: images at a time.
    """
    jitted = jax.jit(predict)
    starts = range(0, len(images), batch_size)
    return np.concatenate([np.asarray(jitted(images[at : at + batch_size])) for at in starts])


def _training_view(model: AnyModule) -> AnyModule:
    return nnx.view(model, use_running_average=False, raise_if_not_found=False)


def _steps_per_epoch(images: np.ndarray, labels: np.ndarray, config: TrainingConfig) -> int:
    if len(images) != len(labels):
        raise ValueError(f"there are {len(images)} images but {len(labels)} labels.")
    if len(images) < config.batch_size:
        raise ValueError(
            f"a batch of {config.batch_size} was asked for, but there are only {len(images)} "
            "images. Choose a smaller batch_size."
        )
    return len(images) // config.batch_size


def _optimiser(config: TrainingConfig, steps: int) -> optax.GradientTransformation:
    warmup = max(1, steps // 20)
    schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, warmup, max(steps, warmup + 1))

    def kernels(parameters: Any) -> Any:
        return jax.tree.map(lambda array: array.ndim > 1, parameters)

    return optax.chain(
        optax.clip_by_global_norm(config.gradient_clip),
        optax.adamw(schedule, weight_decay=config.weight_decay, mask=kernels),
    )


def _make_step(
    definition: Any,
    optimiser: optax.GradientTransformation,
    config: TrainingConfig,
    teacher: Predict | None,
    penalty: Callable[[AnyModule], jax.Array] | None,
) -> TrainingStep:
    def objective(parameters: Any, other: Any, batch: Batch) -> tuple[jax.Array, Any]:
        images, labels = batch
        # Copied, for normalisation updates its statistics inside the trace of the gradient.
        model = nnx.merge(definition, parameters, other, copy=True)
        logits, excess = _outputs(model, images, config)
        loss = _loss(logits, labels, None if teacher is None else teacher(images), config)
        loss = loss + config.range_weight * excess
        if penalty is not None:
            loss = loss + config.penalty_weight * penalty(model)
        other = nnx.split(model, nnx.Param, ...)[2]
        hits = jnp.mean(_largest(logits) == labels, dtype=jnp.float32)
        return loss, (other, jnp.stack([loss, hits]))

    @jax.jit
    def step(state: TrainingState, images: jax.Array, labels: jax.Array) -> tuple[TrainingState, jax.Array]:
        gradient, (other, metrics) = jax.grad(objective, has_aux=True)(
            state.parameters, state.other, (images, labels)
        )
        return _advance(state, gradient, other, optimiser, config.average_decay), metrics

    return step


def _with_augmentation(step: TrainingStep, augment: Augment | None, seed: int) -> TrainingStep:
    if augment is None:
        return step
    # Compiled apart from the step: fused into it, XLA computes the distortion again for each use.
    augment = jax.jit(augment)
    key = jax.random.key(seed)

    def augmented(state: TrainingState, images: Images, labels: Labels) -> tuple[TrainingState, jax.Array]:
        return step(state, augment(jax.random.fold_in(key, state.step), images), labels)

    return augmented


def _advance(
    state: TrainingState,
    gradient: Any,
    other: Any,
    optimiser: optax.GradientTransformation,
    average_decay: float,
) -> TrainingState:
    # Optax raises a float to an integer power, which strict promotion forbids.
    with jax.numpy_dtype_promotion("standard"):
        updates, moments = optimiser.update(gradient, state.optimiser, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    # A young average forgets faster, or the initial weights would stay in it for a thousand steps.
    age = state.step.astype(jnp.float32)
    share = 1.0 - jnp.minimum(jnp.float32(average_decay), (1.0 + age) / (10.0 + age))
    averaged = _average((parameters, other), state.averaged, share)
    return replace(
        state,
        parameters=parameters,
        other=other,
        averaged=averaged,
        optimiser=moments,
        step=state.step + 1,
    )


def _average(new: Any, old: Any, share: jax.Array) -> Any:
    """The moving average of what is floating; of the rest, such as random keys, what is new."""

    def average(newer: jax.Array, older: jax.Array) -> optax.Params:
        if not jnp.issubdtype(newer.dtype, jnp.floating):
            return newer
        return optax.incremental_update(newer, older, share)

    return jax.tree.map(average, new, old)


def _outputs(model: nnx.Module, images: jax.Array, config: TrainingConfig) -> tuple[jax.Array, jax.Array]:
    if config.range_weight == 0:
        return model(images), jnp.float32(0)
    return outputs_and_penalty(model, images, config.range_margin)


def _loss(
    logits: jax.Array, labels: jax.Array, teacher_logits: jax.Array | None, config: TrainingConfig
) -> jax.Array:
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    targets = optax.smooth_labels(targets, config.label_smoothing)
    loss = jnp.mean(optax.softmax_cross_entropy(logits, targets))
    if teacher_logits is None:
        return loss
    softened = jax.nn.softmax(jax.lax.stop_gradient(teacher_logits) / config.temperature)
    distance = jnp.mean(optax.softmax_cross_entropy(logits / config.temperature, softened))
    distance = distance * config.temperature**2
    return (1 - config.distillation_weight) * loss + config.distillation_weight * distance


def _largest(logits: jax.Array) -> jax.Array:
    return jax.lax.argmax(logits, axis=logits.ndim - 1, index_dtype=jnp.int32)


def _run_epoch(
    step: TrainingStep,
    state: TrainingState,
    images: np.ndarray,
    labels: np.ndarray,
    config: TrainingConfig,
    index: int,
) -> tuple[TrainingState, Epoch]:
    metrics = []
    for rows in _shuffled_batches(len(images), config, index):
        state, measured = step(state, images[rows], labels[rows])
        metrics.append(measured)
    loss, hits = np.mean(np.stack(metrics), axis=0).tolist()
    if not np.isfinite(loss):
        raise ValueError(
            f"the loss is {loss} in epoch {index}: the polynomial network diverged. Lower the "
            "learning_rate or the gradient_clip."
        )
    return state, Epoch(index, loss, hits)


def _shuffled_batches(count: int, config: TrainingConfig, epoch: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng((config.seed, epoch)).permutation(count)
    for start in range(0, count - config.batch_size + 1, config.batch_size):
        yield order[start : start + config.batch_size]
