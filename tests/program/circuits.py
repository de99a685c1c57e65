"""What the tests of programs share: a tiny ring, weights, data, and how to run a program once."""

import jax.numpy as jnp
import numpy as np

import fhejax

LOG_DEGREE = 7
SAMPLES = 12


def weights(*shape):
    generator = np.random.default_rng(sum(shape))
    return jnp.asarray(generator.normal(size=shape) / shape[0], jnp.float32)


def data(*shape, low=-1.0, high=1.0):
    return np.random.default_rng(len(shape)).uniform(low, high, shape).astype(np.float32)


def rows(size=4, samples=SAMPLES, **options):
    return fhejax.Encrypted((samples, size), **options)


def compiled(function, *arguments, **options):
    return fhejax.compile(function, *arguments, insecure_log_degree=LOG_DEGREE, **options)


def relative_bits(found, expected):
    """-log2 of the root mean square error relative to the root mean square of what was expected."""
    error = max(np.sqrt(np.mean((found - expected) ** 2)), 2.0**-60)  # some results are exact in float32
    return -np.log2(error / np.sqrt(np.mean(expected**2)))


def linear_square_linear(x):
    return ((x @ weights(4, 6) + 0.25) ** 2) @ weights(6, 3)
