"""What the tests of program files share: small programs of many kinds of steps, arguments and results."""

import functools

import jax.numpy as jnp
import numpy as np
from circuits import SAMPLES, data, in_one_ring, linear_square_linear, rows, weights

import fhejax
from fhejax import approx

TANH = approx.chebyshev("tanh", 3, (-2.0, 2.0))


def _shared(*shape, **options):
    return fhejax.Encrypted(shape, batch_axis=None, **options)


def _nested(inputs, z):
    x, y = inputs["x"], inputs["y"][0]
    return {"constant": jnp.arange(3), "product": x * y, "more": [jnp.float32(2.5), z + x]}


def _mean_step(w, x):
    return w - 0.1 * jnp.mean(x * w[None], 0)


PROGRAMS = {
    "a network": (linear_square_linear, (rows(),), (data(SAMPLES, 4),)),
    "a deep one": (
        lambda x: jnp.concatenate([TANH(2 * x), x[:, ::-1] ** 4], 1) @ weights(8, 2),
        (rows(),),
        (data(SAMPLES, 4),),
    ),
    "nested": (
        _nested,
        ({"x": rows(2), "y": (rows(2, range=(0, 3)),)}, rows(2)),
        ({"x": data(SAMPLES, 2), "y": (data(SAMPLES, 2, low=0),)}, data(SAMPLES, 2)),
    ),
    "sums over the batch": (_mean_step, (_shared(4), rows()), (data(4), data(SAMPLES, 4))),
    "several blocks": (lambda x: x**2, (rows(2, 300),), (data(300, 2),)),
}


@functools.cache
def program(name: str) -> fhejax.Program:
    """One of the programs, compiled once."""
    function, arguments, _ = PROGRAMS[name]
    return in_one_ring(function, *arguments)


def values(name: str) -> tuple:
    """Values of the program's arguments."""
    return PROGRAMS[name][2]


def as_tuple(encrypted: object) -> tuple:
    """What `encrypt` gave, as the arguments of a call."""
    return encrypted if isinstance(encrypted, tuple) else (encrypted,)


def random_bytes(count: int) -> bytes:
    return np.random.default_rng(0).bytes(count)
