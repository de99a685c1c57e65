"""What tests of packings share: layers, and functions whose layers can be cut, on small images."""

import jax
import numpy as np
from jax import numpy as jnp

_GENERATOR = np.random.default_rng(0)


def _normal(*shape):
    return (_GENERATOR.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)


_FIRST, _SECOND, _DENSE = _normal(3, 3, 3, 4), _normal(3, 3, 4, 4), _normal(64, 3)
_SHIFT = np.linspace(-0.3, 0.4, 4, dtype=np.float32).reshape(1, 1, 1, 4)


def weights(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) / np.sqrt(np.prod(shape[:-1]))


def convolved(x, kernel, stride=1, padding="SAME"):
    strides, order = (stride, stride), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=order)


def convolve(x, kernel):
    order = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1),) * 2, dimension_numbers=order)


def pool(x):
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") * 0.25


def convolutional(x):
    """Two convolutions with squares, means between them, a dense layer."""
    x = pool(jnp.square(convolve(x, _FIRST) + _SHIFT))
    x = jnp.square(convolve(x, _SECOND) - 0.1)
    return x.reshape(x.shape[0], -1) @ _DENSE


def residual(x):
    """A shortcut around a convolution, a product of two values, entries in another order."""
    x = pool(convolve(x, _FIRST))
    inner = jnp.square(convolve(x, _SECOND) + _SHIFT) + x
    turned = jnp.flip(inner.transpose(0, 2, 1, 3), 3)
    return turned * (x - 0.5), turned.reshape(x.shape[0], -1) @ _DENSE
