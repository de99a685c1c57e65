"""What the tests of programs share: a tiny ring, weights, data, and how to run a program once."""

import functools

import jax.numpy as jnp
import numpy as np

import fhejax
from fhejax.ckks import Parameters

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


@functools.cache
def ring() -> Parameters:
    """What a function as deep as any of these tests takes."""
    return compiled(deepest, rows()).params


def deepest(x):
    return x**8 @ weights(4, 3)


def in_one_ring(function, *arguments, **options):
    """A program in the ring of others, so that each of their kernels is compiled once for a level."""
    return fhejax.compile(function, *arguments, parameters=ring(), insecure=True, **options)


def relative_bits(found, expected):
    """-log2 of the root mean square error relative to the root mean square of what was expected."""
    error = max(np.sqrt(np.mean((found - expected) ** 2)), 2.0**-60)  # some results are exact in float32
    return -np.log2(error / np.sqrt(np.mean(expected**2)))


def linear_square_linear(x):
    return ((x @ weights(4, 6) + 0.25) ** 2) @ weights(6, 3)
