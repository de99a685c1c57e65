"""A training step in tiles in parameters that are given: the secret of another program, and which scales."""

import jax.numpy as jnp
import numpy as np
import pytest

import fhejax as fhe
from fhejax import ckks

FEATURES, BATCH, CLASSES = 3, 6, 2
SHAPES = (FEATURES, CLASSES), (BATCH, FEATURES), (BATCH, CLASSES)


def linear_step(weights, x, y):
    """Gradient descent on the mean square error, its gradient written out."""
    return weights - 0.5 * (x.T @ (x @ weights - y)) / len(x)


def compiled(packing, **options):
    weights = fhe.Encrypted(SHAPES[0], batch_axis=None)
    described = weights, fhe.Encrypted(SHAPES[1]), fhe.Encrypted(SHAPES[2])
    return fhe.compile(linear_step, *described, packing=packing, device="cpu", **options)


def check(program, secret, keys):
    generator = np.random.default_rng(0)
    values = [generator.uniform(-1, 1, shape).astype(np.float32) for shape in SHAPES]
    found = program.decrypt(secret, program(keys, *program.encrypt(secret, *values)))
    error = np.sqrt(np.mean((found - linear_step(*map(jnp.asarray, values))) ** 2))
    assert error < 2 * program.plan.predicted_errors[0]


def test_both_packings_of_a_step_in_one_ring_under_one_secret():
    """As `benchmarks.training_packings --same` times them."""
    tiles = compiled("tiles", insecure_log_degree=8, bootstrapping=False)
    other = compiled("sample-per-slot", parameters=tiles.params, insecure=True)
    secret, keys = tiles.keygen()
    check(tiles, secret, keys)
    check(other, secret, other.evaluation_keys(secret))
    again = compiled("tiles", parameters=tiles.params, insecure=True)
    assert again.plan == tiles.plan


@pytest.mark.parametrize(
    ("params", "canonical"),
    [
        (ckks.insecure_parameters(128, 8, 40, real=False), True),
        (ckks.insecure_parameters(128, 9, 26), False),
    ],
    ids=["levels of 40 bits", "levels of 26 bits"],
)
def test_scales_are_those_of_levels_where_that_is_quicker(params, canonical):
    program = compiled("tiles", parameters=params, insecure=True)
    assert program.plan.settings.canonical == canonical
    check(program, *program.keygen())
