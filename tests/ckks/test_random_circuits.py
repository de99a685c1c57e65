"""500 random circuits: every decryption within the bound that the noise prediction gives.

Values are kept below one, so that errors are not amplified beyond what first order sees.
"""

import numpy as np
import pytest
from schemes import make_scheme

from fhejax import ckks
from fhejax.ckks.scalars import add_scalar

CIRCUITS_EACH, OPERATIONS, INPUTS = 167, 6, 3  # of three kinds of parameters
A_FEW = 40
# An error in a slot is a product of a rounding and of the secret's value there, both about normal: its
# tails are longer than a normal's, P(|xy| > t) ~ sqrt(2 / (pi t)) e^-t. 500 circuits have 128,000 slots: one
# of them is beyond 20 deviations in one run of 20,000, and was beyond 12 in one of a few runs.
BOUND = 20.0


def _product(keys, x, y):
    return ckks.multiply(keys, x, y)


def _difference_of_halves(keys, x, y):
    return ckks.subtract(ckks.multiply_scalar(x, 0.5), ckks.multiply_scalar(y, 0.5))


def _mean(keys, x, y):
    return ckks.multiply_scalar(ckks.add(x, y), 0.5)


def _square(keys, x, y):
    return ckks.square(keys, x)


def _rotated_product(keys, x, y):
    return ckks.multiply(keys, ckks.rotate(keys, x, 1), y)


def _shifted(keys, x, y):
    return ckks.multiply_scalar(add_scalar(x, -0.25), 0.75)


def _late(keys, x, y):
    """Two products before one relinearisation."""
    low = min(x.level, y.level)
    x, y = ckks.drop_level(x, low), ckks.drop_level(y, low)
    total = (
        ckks.add(ckks.evaluation.tensor(x, y), ckks.negate(ckks.evaluation.square_tensor(y)))
        if x.scale == y.scale
        else None
    )
    return _product(keys, x, y) if total is None else ckks.relinearise(keys, total, target_level=low - 1)


STEPS = (_product, _difference_of_halves, _mean, _square, _rotated_product, _shifted, _late)


def circuit(seed):
    """A function of (keys, values) that is the same for ciphertexts and for estimates."""

    def run(keys, values):
        generator = np.random.default_rng(seed)
        values = list(values)
        for _ in range(OPERATIONS):
            step = STEPS[generator.integers(len(STEPS))]
            x, y = (values[i] for i in generator.integers(len(values), size=2))
            if min(x.level, y.level) > 0:
                values.append(step(keys, x, y))
        return values[-1]

    return run


@pytest.fixture(
    scope="module",
    params=["real", *(pytest.param(ring, marks=pytest.mark.nightly) for ring in ("complex", "rational"))],
)
def scheme(request, insecure_real, insecure_complex):
    if request.param == "rational":
        return make_scheme(ckks.insecure_parameters(256, 4, 35, rational=True))
    return insecure_real if request.param == "real" else insecure_complex


@pytest.mark.parametrize("circuits", [A_FEW, pytest.param(CIRCUITS_EACH, marks=pytest.mark.nightly)])
def test_every_error_is_within_the_predicted_bound(scheme, circuits):
    inputs = [scheme.numbers(seed=seed) for seed in range(INPUTS)]
    ciphertexts = [scheme.encrypt(values) for values in inputs]
    estimates = [ckks.estimate(scheme.params, values) for values in inputs]
    ratios = []
    for seed in range(circuits):
        run = circuit(seed)
        predicted, found = run(None, estimates), run(scheme.keys, ciphertexts)
        assert (predicted.level, predicted.scale) == (found.level, found.scale)
        deviation = np.maximum(predicted.deviation, 2.0**-48)  # x - x is exact but for the decoding's
        error = (scheme.decrypt(found) - predicted.values).real / deviation
        assert abs(error).max() < BOUND, f"circuit {seed}"
        ratios.append(np.sqrt(np.mean(error**2)))
    ratios = [ratio for ratio in ratios if ratio > 1e-3]
    assert len(ratios) > circuits / 2  # of the others the errors vanish, as of x - x
    assert 0.75 < np.sqrt(np.mean(np.square(ratios))) < 1.35  # too little noise is as wrong as too much
