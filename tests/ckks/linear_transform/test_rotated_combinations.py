"""Integer combinations of rotated, masked ciphertexts: against NumPy, within their predicted noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.linear_transform.rotated_combinations import PlainTaps, rotated_combinations
from fhejax.ckks.parameters import Scale

DISTANCES, PERIOD = (-3, 0, 1), 16


@pytest.fixture(scope="module")
def scheme():
    params = ckks.insecure_parameters(64, 2)
    first, second, third = jax.random.split(ckks.random_key(), 3)
    secret = ckks.secret_key(first, params)
    keys = ckks.evaluation_keys(second, secret, rotations=[d for d in DISTANCES if d])
    x = np.random.default_rng(0).uniform(-1, 1, (2, params.slots))
    rows = [
        ckks.encrypt(key, secret, ckks.encode(params, row))
        for key, row in zip(jax.random.split(third, 2), x, strict=True)
    ]
    return params, secret, keys, x, rows[0].replace(data=jnp.stack([row.data for row in rows]))


def taps(masked):
    generator = np.random.default_rng(1)
    weights = generator.integers(-100, 101, (3, 4, 2)).astype(np.int32)
    masks = (generator.random((3, PERIOD)) < 0.5).astype(np.float32) if masked else None
    scale = Scale.of(2.0**20) if masked else Scale.of(1)
    return PlainTaps(DISTANCES, weights, Scale.of(64.0), 127, masks, scale)


def expected(x, given):
    masks = np.ones((3, PERIOD)) if given.masks is None else given.masks
    tiled = np.tile(masks, (1, x.shape[1] // PERIOD))
    rotated = np.stack([np.roll(x, -d, 1) * m for d, m in zip(given.distances, tiled, strict=True)])
    return np.einsum("toi,tis->os", given.weights / 64, rotated)


@pytest.mark.parametrize("masked", [False, True])
def test_the_combinations_and_their_noise(scheme, masked):
    params, secret, keys, x, ciphertext = scheme
    given = taps(masked)
    result = rotated_combinations(keys, ciphertext, given)
    found = np.asarray(ckks.decode(ckks.decrypt(secret, result)))
    wanted = expected(x, given)
    assert found.shape == wanted.shape and result.scale == ciphertext.scale * given.scale
    estimate = rotated_combinations(None, ckks.estimate(params, x), given)
    np.testing.assert_allclose(estimate.values, wanted, atol=1e-4)
    error = np.sqrt(np.mean((found - wanted) ** 2))
    assert abs(np.log2(error / np.sqrt(np.mean(estimate.deviation**2)))) < 1.0


def test_missing_keys_are_named(scheme):
    _, secret, _, _, ciphertext = scheme
    keys = ckks.evaluation_keys(ckks.random_key(), secret, rotations=(1,))
    with pytest.raises(ValueError, match="rotation"):
        rotated_combinations(keys, ciphertext, taps(False))
