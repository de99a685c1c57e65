"""Training of networks with polynomial activations: the loop, schedules, penalties and augmentation."""

from fhejax.nn.training.augmentation import Distortion, distort
from fhejax.nn.training.coefficient_tuning import fit_activation, profile, tune_coefficients
from fhejax.nn.training.progressive import (
    alternate,
    parameter_groups,
    replacement_schedule,
    train_progressively,
)
from fhejax.nn.training.range_penalty import outputs_and_penalty, range_penalty
from fhejax.nn.training.training_loop import Epoch, TrainingConfig, accuracy, evaluate, inference_view, train

__all__ = [
    "Distortion",
    "Epoch",
    "TrainingConfig",
    "accuracy",
    "alternate",
    "distort",
    "evaluate",
    "fit_activation",
    "inference_view",
    "outputs_and_penalty",
    "parameter_groups",
    "profile",
    "range_penalty",
    "replacement_schedule",
    "train",
    "train_progressively",
    "tune_coefficients",
]
