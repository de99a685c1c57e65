"""Layers of random networks: each with its value in JAX and in float64, and the largest value it can have.

Values are matrices [sample, feature], or [1, feature] for what all samples share; so are weights.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fhejax.approx import Polynomial


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes:
        kind: a name in KINDS.
        sources: numbers of the values that it reads; the arguments are the first ones.
        weights: numbers of its weights.
        interval: of a polynomial.
    """

    kind: str
    sources: tuple[int, ...]
    weights: tuple[int, ...] = ()
    interval: tuple[float, float] = (-1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a kind of layer computes.

    Attributes:
        value: (the module numpy or jax.numpy, sources, weights, interval) -> value.
        bound: the same of magnitudes, which bounds the value's.
    """

    value: Callable[[Any, Sequence, Sequence, tuple[float, float]], Any]
    bound: Callable[[Any, Sequence, Sequence, tuple[float, float]], Any] | None = None


def _dense(xp: Any, s: Sequence, w: Sequence, _: Any) -> Any:
    return s[0] @ w[0] + w[1]


def _factors(xp: Any, s: Sequence, w: Sequence, _: Any) -> Any:
    return s[0] * w[0] + w[1]


def _residual(xp: Any, s: Sequence, w: Sequence, _: Any) -> Any:
    return s[0] * w[0] + s[1] * w[1]


def _centred(xp: Any, s: Sequence, w: Sequence, _: Any) -> Any:
    return s[0] - xp.mean(s[0], 0, keepdims=True)


def _powers(xp: Any, s: Sequence, w: Sequence, _: Any) -> Any:
    x, coefficients = s[0] * w[0], w[1]
    terms = [coefficients[:, k : k + 1] * x**k for k in range(1, coefficients.shape[1])]
    return sum(terms[1:], terms[0]) + coefficients[:, :1]


def _polynomial(xp: Any, s: Sequence, w: Sequence, interval: tuple[float, float]) -> Any:
    x, coefficients = s[0] * w[0], w[1]
    if xp is jnp:
        return Polynomial.from_chebyshev(np.asarray(coefficients).astype(np.float64)[0], interval)(x)
    low, high = interval
    return np.polynomial.chebyshev.chebval((2 * x - low - high) / (high - low), coefficients[0])


def _polynomial_bound(xp: Any, s: Sequence, w: Sequence, interval: tuple[float, float]) -> Any:
    low, high = interval
    t = np.maximum((2 * s[0] * w[0] + abs(low + high)) / (high - low), 1.0)
    largest = np.cosh(np.arange(w[1].shape[1])[:, None, None] * np.arccosh(t))
    return np.einsum("k,kij->ij", w[1][0], largest)


KINDS = {
    "dense": Kind(_dense),
    "factors": Kind(_factors),
    "square": Kind(lambda xp, s, w, _: s[0] ** 2),
    "product": Kind(lambda xp, s, w, _: s[0] * s[1]),
    "residual": Kind(_residual),
    "powers": Kind(_powers),
    "polynomial": Kind(_polynomial, _polynomial_bound),
    "batch mean": Kind(lambda xp, s, w, _: xp.mean(s[0], 0, keepdims=True)),
    "centred": Kind(_centred, lambda xp, s, w, _: 2 * s[0]),
    "concatenation": Kind(lambda xp, s, w, _: xp.concatenate([s[0], s[1]], 1)),
    "half": Kind(lambda xp, s, w, _: s[0][:, : (s[0].shape[1] + 1) // 2]),
    "reversal": Kind(lambda xp, s, w, _: s[0][:, ::-1]),
}


def evaluate(xp: Any, layers: Sequence[Layer], arguments: Sequence, weights: Sequence) -> list:
    """The arguments and then the value of every layer.

    Args:
        xp: numpy (float64) or jax.numpy.
        layers: in order.
        arguments: the values that come before those of layers.
        weights: by number.
    """
    values = list(arguments)
    for layer in layers:
        values.append(layer_value(xp, layer, values, weights))
    return values


def layer_value(xp: Any, layer: Layer, values: Sequence, weights: Sequence) -> Any:
    """The value of one layer."""
    sources, own = [values[i] for i in layer.sources], [weights[i] for i in layer.weights]
    return KINDS[layer.kind].value(xp, sources, own, layer.interval)


def layer_bound(layer: Layer, bounds: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """The largest magnitude of one layer's value, [1, feature], from those before and those of weights."""
    kind = KINDS[layer.kind]
    sources, own = [bounds[i] for i in layer.sources], [weights[i] for i in layer.weights]
    return (kind.bound or kind.value)(np, sources, own, layer.interval)
