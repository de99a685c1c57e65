"""The activations of a network: found, replaced, folded, and seen at work."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from fhejax.approx.functions import Function
from fhejax.nn.activations.hermite_activation import HermiteActivation
from fhejax.nn.activations.polynomial_activation import Activation, ExactActivation, PolynomialActivation
from fhejax.nn.modules import AnyModule, replace_modules


def activation_layers(network: nnx.Module) -> tuple[Activation, ...]:
    """The activations of a network, in the order of `layers()`, each object once."""
    return tuple({id(found): found for found in _walk(network)}.values())


def replace_activation(network: AnyModule, index: int, activation: Activation) -> AnyModule:
    """A copy of `network` with another activation in the place of one.

    Args:
        network: a Flax module.
        index: that of the old one in `activation_layers(network)`.
        activation: the new one.

    Raises:
        IndexError: not that many activations.
    """
    found = activation_layers(network)
    if not -len(found) <= index < len(found):
        raise IndexError(
            f"{type(network).__name__} has {len(found)} activations, so that there is none at {index}."
        )
    return replace_modules(network, {id(found[index]): activation})


def fold_activations(network: AnyModule, images: np.ndarray | None = None) -> AnyModule:
    """A copy of `network` whose activations have static intervals, and no modes, range or noise.

    Every Hermite activation becomes one polynomial for each channel, every trained or dynamic range the
    interval that it has reached. The function computed is that of inference mode, up to rounding of
    float32. Weights files fit the folded network only where the one they come from was folded too.

    Averages over batches are poor moments for Hermite activations: behind each batch's own polynomials values
    lie otherwise than behind the folded ones. With `images` each takes its moments from these, behind the
    polynomials of those before it, which are static by then.

    Args:
        network: a Flax module.
        images: a batch of its inputs, such as 2,000 training images; by default the averages are taken.

    Raises:
        ValueError: an activation with a coefficient that is not finite.
    """
    if images is not None:
        network = _folded_in_order(network, images)
    folded = {
        id(layer): layer.folded()
        for layer in activation_layers(network)
        if isinstance(layer, PolynomialActivation | HermiteActivation)
    }
    return replace_modules(network, folded)


def _folded_in_order(network: AnyModule, images: np.ndarray) -> AnyModule:
    """A copy whose Hermite activations are folded one after the other, by their moments on images."""
    for index, layer in enumerate(activation_layers(network)):
        if isinstance(layer, HermiteActivation):
            view = nnx.view(network, use_running_average=True, raise_if_not_found=False)
            seen = preactivations(view, images)[1][index]
            network = replace_activation(network, index, layer.with_moments_of(seen).folded())
    return network


def exact_twin(network: AnyModule, function: str | Function = "relu") -> AnyModule:
    """A copy of `network` with `function` itself in place of every activation.

    Trained on its own, it is the teacher of `train`: a student that imitates it loses less (Baruch et
    al., arXiv 2111.03362).

    Raises:
        ValueError: an unknown function.
    """
    return replace_modules(
        network, {id(layer): ExactActivation(function) for layer in activation_layers(network)}
    )


def preactivations(network: nnx.Module, x: jax.Array | np.ndarray) -> tuple[Any, tuple[jax.Array, ...]]:
    """The outputs `network(x)`, and the inputs of each of `activation_layers(network)`.

    One pass. Pure under jit and grad but for what the network itself updates, its running statistics.

    Args:
        network: a Flax module.
        x: a batch of its inputs.

    Returns:
        The outputs, and an array (values, channels) for each activation.

    Raises:
        ValueError: an activation that was not applied.
    """
    view = nnx.view(network, recording=True, raise_if_not_found=False)
    outputs = view(x)
    return outputs, tuple(_inputs(index, layer) for index, layer in enumerate(activation_layers(view)))


def _inputs(index: int, activation: Activation) -> jax.Array:
    if not hasattr(activation, "inputs"):
        raise ValueError(
            f"the {type(activation).__name__} at {index} was not applied by the network; leave it out."
        )
    seen = activation.inputs.get_value()
    return jnp.concatenate([value.reshape(-1, value.shape[-1]) for value in seen])


def _walk(node: Any) -> Iterator[Activation]:
    layers = getattr(node, "layers", None)
    if isinstance(node, Activation):
        yield node
    elif layers is not None:
        for layer in _listed(layers):
            yield from _walk(layer)
    elif isinstance(node, nnx.Module):
        yield from (child for _, child in nnx.iter_modules(node) if isinstance(child, Activation))


def _listed(layers: Any) -> Any:
    """The layers, which a module gives by a method or holds as a sequence."""
    return layers() if callable(layers) else layers
