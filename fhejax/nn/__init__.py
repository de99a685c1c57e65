"""Flax networks with polynomial activations, their data and their training.

Plain Flax and optax: no cryptography. `fhejax.compile` makes an encrypted program of any of these.
"""

from fhejax.nn.activations.hermite_activation import HermiteActivation
from fhejax.nn.activations.polynomial_activation import (
    Coefficients,
    ExactActivation,
    FixedCoefficients,
    PolynomialActivation,
    Square,
)
from fhejax.nn.activations.replacement import (
    activation_layers,
    exact_twin,
    fold_activations,
    preactivations,
    replace_activation,
)
from fhejax.nn.batch_norm import fold_batch_norm, fold_into_next, fold_into_previous
from fhejax.nn.bounds import logit_bounds, logit_magnitude
from fhejax.nn.data import CIFAR10_CLASSES, Dataset, load_cifar10, load_digits, load_mnist
from fhejax.nn.image_networks import ProjectedBlock, ResNet18
from fhejax.nn.models import HCNN, MLP, CryptoDL, CryptoNets, Digits, Network
from fhejax.nn.preparation import Preparation
from fhejax.nn.quantisation import quantise_kernels
from fhejax.nn.residual_networks import ResidualBlock, ResNet, ResNet20, ResNet32, ResNet44, ResNet56
from fhejax.nn.shallow_networks import HCNNCifar, ShallowCifar
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
from fhejax.nn.training.training_loop import (
    Epoch,
    TrainingConfig,
    TrainingState,
    accuracy,
    evaluate,
    inference_view,
    train,
)
from fhejax.nn.weights import load_preparation, load_weights, save_weights

__all__ = [
    "CIFAR10_CLASSES",
    "HCNN",
    "MLP",
    "BoundedState",
    "BoundedTraining",
    "Coefficients",
    "CryptoDL",
    "CryptoNets",
    "Dataset",
    "Digits",
    "Distortion",
    "Epoch",
    "ExactActivation",
    "FixedCoefficients",
    "HCNNCifar",
    "HermiteActivation",
    "Network",
    "PolynomialActivation",
    "Preparation",
    "ProjectedBlock",
    "ResNet",
    "ResNet18",
    "ResNet20",
    "ResNet32",
    "ResNet44",
    "ResNet56",
    "ResidualBlock",
    "ShallowCifar",
    "Square",
    "TrainingConfig",
    "TrainingState",
    "accuracy",
    "activation_layers",
    "alternate",
    "bounded_training",
    "distort",
    "evaluate",
    "exact_twin",
    "fit_activation",
    "fold_activations",
    "fold_batch_norm",
    "fold_into_next",
    "fold_into_previous",
    "inference_view",
    "input_moments",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "load_preparation",
    "load_weights",
    "logit_bounds",
    "logit_magnitude",
    "outputs_and_outliers",
    "outputs_and_penalty",
    "parameter_groups",
    "preactivations",
    "profile",
    "quantise_kernels",
    "range_penalty",
    "replace_activation",
    "replacement_schedule",
    "save_weights",
    "shift_and_flip",
    "train",
    "train_progressively",
    "tune_coefficients",
]
