"""Training of networks with polynomial activations: the loop, schedules, penalties and augmentation."""

from fhejax.nn.training.augmentation import Distortion, distort, shift_and_flip
from fhejax.nn.training.bounded_training import BoundedState, BoundedTraining, bounded_training
from fhejax.nn.training.coefficient_tuning import fit_activation, profile, tune_coefficients
from fhejax.nn.training.outliers import input_moments, outputs_and_outliers
from fhejax.nn.training.progressive import (
    alternate,
    parameter_groups,
    replacement_schedule,
    train_progressively,
)
from fhejax.nn.training.range_penalty import outputs_and_penalty, range_penalty
from fhejax.nn.training.training_loop import Epoch, TrainingConfig, accuracy, evaluate, inference_view, train

__all__ = [
    "BoundedState",
    "BoundedTraining",
    "Distortion",
    "Epoch",
    "TrainingConfig",
    "accuracy",
    "alternate",
    "bounded_training",
    "distort",
    "evaluate",
    "fit_activation",
    "inference_view",
    "input_moments",
    "outputs_and_outliers",
    "outputs_and_penalty",
    "parameter_groups",
    "profile",
    "range_penalty",
    "replacement_schedule",
    "shift_and_flip",
    "train",
    "train_progressively",
    "tune_coefficients",
]
