"""A training step in tiles in parameters that are given: the secret of another program, and which scales."""

import numpy as np
import pytest

import fhejax as fhe
from fhejax import ckks
from fhejax.program.levels.given import given_plan

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
    """Noise is as predicted; what is rounded is one draw, of few masks."""
    generator = np.random.default_rng(0)
    values = [generator.uniform(-1, 1, shape).astype(np.float32) for shape in SHAPES]
    found = program.decrypt(secret, program(keys, *program.encrypt(secret, *values)))
    noise = np.sqrt(np.mean((found - program.simulate(*values)) ** 2))
    assert 0.2 < noise / program.plan.predicted_noise[0] < 2
    assert np.sqrt(np.mean((found - program.clear(*values)) ** 2)) < 5 * program.plan.predicted_errors[0]


@pytest.mark.nightly
def test_both_packings_of_a_step_in_one_ring_under_one_secret():
    """As `benchmarks.training_packings --same` times them."""
    tiles = compiled("tiles", insecure_log_degree=7, bootstrapping=False)
    other = compiled("sample-per-slot", parameters=tiles.params, insecure=True)
    assert compiled("tiles", parameters=tiles.params, insecure=True).plan == tiles.plan
    secret, keys = tiles.keygen()
    check(tiles, secret, keys)
    check(other, secret, other.evaluation_keys(secret))


def test_tiles_may_have_the_scales_of_levels_without_bootstraps(monkeypatch):
    """A step this small is quicker with lazy scales, which are taken; the others are right as well."""
    params = ckks.insecure_parameters(128, 8, 40, real=False)
    seconds, kept = [], given_plan.quicker

    def slower(one, other, wish):
        seconds.extend(planned[0].predicted_seconds for planned in (one, other, kept(one, other, wish)))
        return other

    monkeypatch.setattr(given_plan, "quicker", slower)
    program = compiled("tiles", parameters=params, insecure=True)
    assert min(seconds[:2]) == seconds[2]
    assert program.plan.settings.canonical
    check(program, *program.keygen())
