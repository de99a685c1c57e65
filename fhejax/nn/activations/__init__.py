"""Polynomial activations of Flax networks, and their exchange for exact ones."""

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

__all__ = [
    "Coefficients",
    "ExactActivation",
    "FixedCoefficients",
    "HermiteActivation",
    "PolynomialActivation",
    "Square",
    "activation_layers",
    "exact_twin",
    "fold_activations",
    "preactivations",
    "replace_activation",
]
