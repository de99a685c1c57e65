"""Coefficient tuning: activations fitted where their inputs lie, as by SmartPAF (arXiv 2404.03216)."""

from typing import Any

import numpy as np
from flax import nnx

from fhejax import approx
from fhejax.approx.checks import check_positive
from fhejax.approx.functions import Function
from fhejax.nn.activations.options import check_activation_degree
from fhejax.nn.activations.polynomial_activation import PolynomialActivation
from fhejax.nn.activations.replacement import activation_layers, preactivations, replace_activation
from fhejax.nn.modules import AnyModule
from fhejax.nn.training.training_loop import inference_view


def profile(network: nnx.Module, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """The inputs of each of `activation_layers(network)` at inference for a batch.

    Args:
        network: a Flax module.
        x: a batch of its inputs, float32.

    Returns:
        A NumPy array (values, channels) for each activation.

    Raises:
        ValueError: an input that is not finite.
    """
    # A copy, for a layer without modes may update its statistics.
    _, inputs = preactivations(inference_view(nnx.clone(network)), x)
    return tuple(
        _finite(np.asarray(values), f"at the activation of index {index}")
        for index, values in enumerate(inputs)
    )


def fit_activation(
    samples: np.ndarray,
    degree: int,
    *,
    function: str | Function = "relu",
    headroom: float = 1.1,
    features: int | None = None,
    slope_weight: float = 0.0,
    **options: Any,
) -> PolynomialActivation:
    """The activation with the least mean square error over observed inputs.

    The interval is (-B, B), B `headroom` times the largest magnitude observed; far from all samples the
    error is unbounded, which the certificate shows.

    Args:
        samples: observed inputs (values, channels), as `profile` returns them.
        degree: that of the polynomial, at least 1.
        function: what is approximated, a name or an elementwise JAX function.
        headroom: at least 1.
        features: the number of channels, each of which is fitted to its own samples; None for one fit.
        slope_weight: that of `approx.least_squares`.
        **options: those of `PolynomialActivation`.

    Raises:
        ValueError: samples that are not finite, are all 0, have other than `features` channels, or fewer
            distinct values than coefficients; a headroom below 1.
    """
    degree = check_activation_degree(degree)
    samples = _finite(np.asarray(samples, np.float64), "among the samples")
    reach = check_positive(headroom, "headroom") * float(np.max(np.abs(samples), initial=0.0))
    if reach == 0:
        raise ValueError("all the inputs profiled are 0, which leaves an activation no interval.")
    interval = (-reach, reach)
    fits = [
        approx.least_squares(function, degree, interval, samples=group, slope_weight=slope_weight)
        for group in _groups(samples, features)
    ]
    rows = np.stack([fit.coefficients for fit in fits])
    coefficients = rows[0] if features is None else rows
    return PolynomialActivation(
        degree,
        function=function,
        coefficients=coefficients,
        features=features,
        interval=interval,
        **options,
    )


def tune_coefficients(network: AnyModule, x: np.ndarray, **options: Any) -> AnyModule:
    """A copy of `network` with each polynomial activation fitted to its inputs for a batch.

    Activations are profiled and fitted one after the other, from first to last, for each changes what
    the next ones see. Degree, function, channels and scaling stay; one without a `function` is left as it is.

    Args:
        network: a Flax module.
        x: a batch of its inputs, float32.
        **options: those of `fit_activation`.

    Raises:
        ValueError: as `profile` and `fit_activation`.
    """
    for index, layer in enumerate(activation_layers(network)):
        if isinstance(layer, PolynomialActivation) and layer.function is not None:
            tuned = _refitted(layer, profile(network, x)[index], options)
            network = replace_activation(network, index, tuned)
    return network


def _refitted(
    layer: PolynomialActivation, samples: np.ndarray, options: dict[str, Any]
) -> PolynomialActivation:
    kept = {
        "function": layer.function,
        "features": layer.features,
        "trainable": layer.trainable,
        "scaling": layer.scaling,
        "noise": layer.noise,
        "rngs": nnx.clone(layer.stream),
    }
    degree = layer.coefficients[...].shape[-1] - 1
    tuned = fit_activation(samples, degree, **{**kept, **options})
    tuned.set_view(use_running_average=layer.use_running_average)
    return tuned


def _groups(samples: np.ndarray, features: int | None) -> list[np.ndarray]:
    """The samples that each polynomial is fitted to."""
    if features is None:
        return [samples]
    if samples.ndim != 2 or samples.shape[1] != features:
        raise ValueError(
            f"an activation with features={features} is fitted to samples of shape (values, {features}), "
            f"but found {samples.shape}."
        )
    return list(samples.T)


def _finite(samples: np.ndarray, where: str) -> np.ndarray:
    if not np.all(np.isfinite(samples)):
        raise ValueError(
            f"{np.sum(~np.isfinite(samples))} of the {samples.size} values profiled {where} are NaN or "
            "infinite: the network diverged, or its images are not finite."
        )
    return samples
