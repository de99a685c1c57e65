"""What the tests of sums over the batch share: programs on 32 slots, run once and compared."""

import functools

import jax
import numpy as np

import fhejax
from fhejax.ckks import Parameters

LOG_DEGREE = 5
SLOTS = 2**LOG_DEGREE


def shared(*shape):
    return fhejax.Encrypted(shape, batch_axis=None)


@functools.cache
def ring() -> Parameters:
    """What a function as deep as any of these tests takes."""
    return alone(lambda x: x**8, fhejax.Encrypted((4, 2))).params


def alone(function, *arguments, **options):
    """A program in a ring of its own."""
    return fhejax.compile(function, *arguments, insecure_log_degree=LOG_DEGREE, **options)


def small(function, *arguments, **options):
    """A program in the ring of the others, so that each of their kernels is compiled once for a level."""
    return fhejax.compile(function, *arguments, parameters=ring(), insecure=True, **options)


def run(program, secret, keys, *values):
    given = program.encrypt(secret, *values)
    result = program(keys, *given) if len(values) > 1 else program(keys, given)
    return program.decrypt(secret, result)


def check(found, expected, bits=9.0):
    for got, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert got.shape == wanted.shape
        error = np.sqrt(np.mean((got - np.asarray(wanted)) ** 2))
        assert error <= 2.0**-bits * np.sqrt(np.mean(np.asarray(wanted) ** 2))
