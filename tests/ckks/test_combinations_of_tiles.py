"""Combinations of a batch in several arrays are those of the joined batch."""

import jax
import numpy as np
import pytest

from fhejax import ckks
from fhejax.ckks.combinations import combinations_of_tiles
from fhejax.ckks.parameters import Scale


@pytest.mark.parametrize("square", [False, True])
def test_as_of_the_joined_batch(square):
    params = ckks.insecure_parameters(16, 2)
    key, other = jax.random.split(ckks.random_key())
    secret = ckks.secret_key(key, params)
    generator = np.random.default_rng(0)
    plain = ckks.encode(params, generator.uniform(-1, 1, (5, params.slots)))
    batch = ckks.encrypt(other, secret, plain)
    weights = generator.integers(-9, 10, (1, 2, 3)).astype(np.int32)
    entries = np.array([[[0, 4], [3, -1], [2, 1]]], np.int32)
    expected = ckks.linear_combinations(weights, batch, 8.0, 9, entries=entries, square=square)
    tiles = [batch.replace(data=batch.data[part]) for part in (slice(0, 1), slice(1, 4), slice(4, 5))]
    found = combinations_of_tiles(weights, tiles, Scale.of(8.0), 9, entries=entries, square=square)
    np.testing.assert_array_equal(found.data, expected.data)
    assert found.scale == expected.scale and found.level == expected.level
