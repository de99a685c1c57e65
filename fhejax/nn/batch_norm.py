"""Folding of batch normalisation into the neighbouring convolution or dense layer.

At inference a normalisation is `scale * x + shift` in each channel (Ioffe and Szegedy, arXiv
1502.03167), and so is part of the affine layer beside it: no level of depth, no operation.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from fhejax.nn.models import LayerFunction, Network
from fhejax.nn.modules import replace_modules
from fhejax.nn.residual_networks import Block

Affine = nnx.Conv | nnx.Linear
AffineLayer = TypeVar("AffineLayer", bound=Affine)
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


class Identity(nnx.Module):
    """The layer that a folded one leaves in its place."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """The input `x` itself."""
        return x


def scale_and_shift(norm: nnx.BatchNorm) -> tuple[jax.Array, jax.Array]:
    """The pair (scale, shift), each (channels,), with which `norm(x) == scale * x + shift` at inference."""
    mean, variance = norm.mean[...], norm.var[...]
    scale = jax.lax.rsqrt(variance + norm.epsilon)
    if norm.scale is not None:
        scale = scale * norm.scale[...]
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias[...]


def fold_into_previous(layer: AffineLayer, norm: nnx.BatchNorm) -> AffineLayer:
    """The one layer that computes `norm(layer(x))`, for a convolution or dense `layer`."""
    scale, shift = scale_and_shift(norm)
    kernel = layer.kernel[...]
    scaled = kernel * jnp.expand_dims(scale, tuple(range(kernel.ndim - 1)))
    bias = shift if layer.bias is None else shift + scale * layer.bias[...]
    return _with_weights(layer, scaled, bias)


def fold_into_next(norm: nnx.BatchNorm, layer: AffineLayer) -> AffineLayer:
    """The one layer that computes `layer(norm(x))`, for a convolution or dense `layer`.

    Raises:
        ValueError: a convolution with padding or groups: the shift does not reach the border's zeros, so
            that no single bias is right.
    """
    if isinstance(layer, nnx.Conv):
        _check_foldable(layer)
    scale, shift = scale_and_shift(norm)
    kernel = layer.kernel[...]
    per_input = (*range(kernel.ndim - 2), kernel.ndim - 1)
    scaled = kernel * jnp.expand_dims(scale, per_input)
    moved = jnp.sum(kernel * jnp.expand_dims(shift, per_input), axis=tuple(range(kernel.ndim - 1)))
    return _with_weights(layer, scaled, moved if layer.bias is None else layer.bias[...] + moved)


def fold_batch_norm(network: AnyNetwork) -> AnyNetwork:
    """A copy of `network` in which every batch normalisation is folded away.

    Each goes into the affine layer before it, else into the one after it, and becomes `Identity`.
    The function computed is that of inference mode, up to rounding of float32.

    The normalisation that is part of a Hermite activation is for `fold_activations`.

    Raises:
        ValueError: a normalisation with no affine layer directly beside it, or within a residual block.
    """
    while (index := _first_normalisation(network.layers())) is not None:
        network = _fold_at(network, index)
    _check_blocks(network)
    return network


def _first_normalisation(layers: tuple[LayerFunction, ...]) -> int | None:
    indices = (index for index, layer in enumerate(layers) if isinstance(layer, nnx.BatchNorm))
    return next(indices, None)


def _fold_at(network: AnyNetwork, index: int) -> AnyNetwork:
    layers = (None, *network.layers(), None)
    before, norm, after = layers[index : index + 3]
    assert isinstance(norm, nnx.BatchNorm)  # `index` is that of a normalisation
    if isinstance(before, Affine):
        return replace_modules(network, {id(before): fold_into_previous(before, norm), id(norm): Identity()})
    if isinstance(after, Affine):
        return replace_modules(network, {id(after): fold_into_next(norm, after), id(norm): Identity()})
    raise ValueError(
        f"the batch normalisation at layer {index} of {type(network).__name__} stands between "
        f"{type(before).__name__} and {type(after).__name__}, and folds only into a Conv or Linear "
        "directly beside it. Move it next to one."
    )


def _check_blocks(network: Network) -> None:
    """Refuse a normalisation within a layer that is a block of layers."""
    for index, layer in enumerate(network.layers()):
        if isinstance(layer, Block) and _first_normalisation(layer.layers()) is not None:
            raise ValueError(
                f"the residual block at layer {index} of {type(network).__name__} holds a batch "
                "normalisation, which after the addition belongs to no single convolution. Use "
                "HermiteActivation, which brings its own, and fold_activations."
            )


def _with_weights(layer: AffineLayer, kernel: jax.Array, bias: jax.Array) -> AffineLayer:
    copy = nnx.clone(layer)
    copy.kernel[...] = kernel
    copy.bias = nnx.Param(bias)
    copy.use_bias = True
    return copy


def _check_foldable(layer: nnx.Conv) -> None:
    grouped = layer.feature_group_count != 1
    padding = layer.padding
    amounts = jax.tree.leaves(padding) if not isinstance(padding, str) else [padding]
    if grouped or any(amount not in (0, "VALID") for amount in amounts):
        raise ValueError(
            f"batch normalisation before a convolution with padding={padding!r} and "
            f"{layer.feature_group_count} groups cannot be folded into it: the shift does not "
            "apply to the padding. Put it after a convolution, or use padding='VALID'."
        )
