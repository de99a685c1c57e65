"""The dry run: a training in the clear and with noise, refused before any key exists if it goes wrong."""

import math
from dataclasses import dataclass

import numpy as np

from experiments.encrypted_training.oracle import ClearRun, clear_run, noise_of_bits
from experiments.encrypted_training.recipes import Recipe
from experiments.encrypted_training.training import Training

LOST = 0.01  # share of test samples that noise may cost


@dataclass(frozen=True)
class DryRun:
    """A training that may start.

    Attributes:
        clear: the oracle: the very function that is encrypted, in the clear.
        noisy: the same with noise at the planned precision.
    """

    clear: ClearRun
    noisy: ClearRun


def dry_run(training: Training, noise_bits: float, seed: int = 0) -> DryRun:
    """The runs in the clear and with noise, both within all declared magnitudes.

    Args:
        training: what is run.
        noise_bits: the planned precision: -log2 of the noise over the declared magnitude, at each step.
        seed: of the noise.

    Raises:
        ValueError: a run that diverges or leaves a declared magnitude, with the step and the value; or one
            that noise makes worse by more than a point.
    """
    clear = clear_run(training)
    check(training.recipe, clear, "in the clear")
    noisy = clear_run(training, noise_of_bits(training, noise_bits), seed)
    check(training.recipe, noisy, f"with noise of 2^-{noise_bits:g}")
    lost = clear.accuracy[-1] - noisy.accuracy[-1]
    if lost > LOST:
        raise ValueError(
            f"training {training.name} with noise of 2^-{noise_bits:g} of each magnitude ends at "
            f"{noisy.accuracy[-1]:.1%} of the test samples, and at {clear.accuracy[-1]:.1%} in the clear; "
            f"ask for more precision: --precision-bits {noise_bits + 2:g}."
        )
    return DryRun(clear, noisy)


def check(recipe: Recipe, run: ClearRun, how: str) -> None:
    """Refuse a run that leaves a declared magnitude, at its first step that does.

    Args:
        recipe: with the declared magnitudes.
        run: in the clear, with noise or without.
        how: it was run, in messages.

    Raises:
        ValueError: with the step, the value, and what to change.
    """
    steps = len(run.accuracy)
    firsts = {name: first_beyond(values, bound_of(recipe, name)) for name, values in run.magnitudes.items()}
    step, name = min((first, name) for name, first in firsts.items())
    if step == steps:
        return
    found, bound = run.magnitudes[name][step], bound_of(recipe, name)
    diverges = not all(np.isfinite(values[-1]) for values in run.magnitudes.values())
    raise ValueError(
        f"the training {how} {'diverges' if diverges else 'leaves its ranges'}: at step {step + 1} of "
        f"{steps} the largest magnitude of the {name} is {found:.3g}, and {bound:g} is what is declared and "
        f"certified. Take a smaller learning rate than {recipe.rate:g}"
        f"{'' if diverges else ', or declare a larger magnitude in the recipe'}."
    )


def first_beyond(values: np.ndarray, bound: float) -> int:
    """The first step, from 0, whose magnitude is not within a bound; the number of steps where all are."""
    beyond = ~(values <= bound)  # NaN is within no bound
    return int(np.argmax(beyond)) if beyond.any() else len(values)


def bound_of(recipe: Recipe, name: str) -> float:
    """The declared magnitude of a value by its name in `ClearRun.magnitudes`; infinite for gradients."""
    if name.startswith("outputs"):
        return recipe.preactivations
    if name.startswith("momentum"):
        return recipe.momenta
    return math.inf if name.startswith("gradient") else recipe.parameters
