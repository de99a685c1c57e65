"""Results of a program that others may see: flooded together, counted as one release."""

import numpy as np
import pytest

import fhejax
from fhejax.ckks.encryption import sharing_budget

BOUND = 2.0**-12


@pytest.fixture(scope="module")
def run():
    program = fhejax.compile(
        lambda x: {"square": x * x, "sum": x.sum(1), "plain": np.ones(3, np.float32)},
        fhejax.Encrypted((8, 2)),
        insecure_log_degree=6,
        precision_bits=14,
    )
    secret, keys = program.keygen()
    x = np.random.default_rng(0).uniform(-1, 1, (8, 2)).astype(np.float32)
    return program, secret, program(keys, program.encrypt(secret, x)), x


def test_all_numbers_of_a_call_are_flooded_as_one_release(run):
    program, secret, result, x = run
    budget = sharing_budget(secret, 2, distance_bits=3)
    shared, spent = program.decrypt_for_sharing(secret, result, budget, noise_bound=BOUND)
    raw = program.decrypt(secret, result)
    deviation = budget.deviation(BOUND, 24)  # 16 squares and 8 sums
    errors = np.concatenate([(shared[name] - raw[name]).reshape(-1) for name in ("square", "sum")])
    assert np.abs(raw["square"] - x * x).max() < BOUND
    assert 0.5 * deviation < np.std(errors) < 1.6 * deviation
    step = 2.0 ** np.floor(np.log2(deviation))
    assert np.all(shared["sum"] / step == np.round(shared["sum"] / step))
    assert (spent.released, spent.left) == (1, 1)
    np.testing.assert_array_equal(shared["plain"], np.ones(3))


def test_the_clients_half_shares_too_and_refuses_once_the_budget_is_spent(run):
    program, secret, result, _ = run
    budget = sharing_budget(secret, 1)
    shared, spent = program.client.decrypt_for_sharing(secret, result["sum"], budget, noise_bound=BOUND)
    assert shared.shape == (8,)
    with pytest.raises(ValueError, match="are used up"):
        program.client.decrypt_for_sharing(secret, result["sum"], spent, noise_bound=BOUND)
