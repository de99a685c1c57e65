"""What the tests of sums over the batch share: programs on 32 slots, run once and compared."""

import jax
import numpy as np

import fhejax

LOG_DEGREE = 5
SLOTS = 2**LOG_DEGREE


def shared(*shape):
    return fhejax.Encrypted(shape, batch_axis=None)


def small(function, *arguments, **options):
    return fhejax.compile(function, *arguments, insecure_log_degree=LOG_DEGREE, **options)


def run(program, secret, keys, *values):
    given = program.encrypt(secret, *values)
    result = program(keys, *given) if len(values) > 1 else program(keys, given)
    return program.decrypt(secret, result)


def check(found, expected, bits=9.0):
    for got, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert got.shape == wanted.shape
        error = np.sqrt(np.mean((got - np.asarray(wanted)) ** 2))
        assert error <= 2.0**-bits * np.sqrt(np.mean(np.asarray(wanted) ** 2))
