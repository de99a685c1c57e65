"""Noise formulas against sampled polynomials; `test_noise_estimate` measures the operations themselves."""

import numpy as np
import pytest

from fhejax.ckks.parameters import deviations
from fhejax.ring import Ring

RINGS = [Ring(2**9, True), Ring(2**9)]
SAMPLES = 400


@pytest.fixture(params=RINGS, ids=["real", "complex"])
def ring(request) -> Ring:
    return request.param


def in_slots(coefficients: np.ndarray, ring: Ring) -> np.ndarray:
    """Values at the roots zeta^(2t+1), from the definition: [..., N] to [..., slots]."""
    degree, half = ring.degree, ring.expansion
    odd = np.arange(1, 2 * ring.slots, 2)
    angles = np.pi * np.outer(np.arange(degree), odd) / half
    if not ring.conjugate_invariant:
        return coefficients @ np.exp(1j * angles)
    mirrored = 2 * np.cos(angles)  # X^i + X^-i
    mirrored[0] = 1
    return coefficients @ mirrored


def deviation(slots: np.ndarray) -> float:
    return float(np.sqrt(np.mean(slots.real**2)))


def close(found: float, predicted: float, bits: float = 0.06) -> bool:
    return abs(np.log2(found / predicted)) < bits


class Sampler:
    """Independent polynomials, many of each kind, as values in slots."""

    def __init__(self, ring: Ring):
        self.ring, self.generator = ring, np.random.default_rng(5)

    def errors(self) -> np.ndarray:
        heads = self.generator.binomial(21, 0.5, (2, SAMPLES, self.ring.degree))
        return in_slots((heads[0] - heads[1]).astype(float), self.ring)

    def ternary(self) -> np.ndarray:
        return in_slots(self.generator.integers(-1, 2, (SAMPLES, self.ring.degree)).astype(float), self.ring)

    def rounding(self, size: float = 1.0) -> np.ndarray:
        coefficients = self.generator.uniform(-size / 2, size / 2, (SAMPLES, self.ring.degree))
        return in_slots(coefficients, self.ring)


def test_encryption(ring):
    sample = Sampler(ring)
    secret = sample.errors() + sample.rounding()
    assert close(deviation(secret), deviations.fresh_deviation(ring))
    public = sample.errors() * sample.ternary() + sample.errors() * sample.ternary() + secret
    assert close(deviation(public), deviations.fresh_public_deviation(ring))


@pytest.mark.parametrize("components", [1, 2, 3])
def test_division(ring, components):
    """Every component is rounded, and multiplied by a power of the secret."""
    sample = Sampler(ring)
    secret = sample.ternary()
    total = sum(sample.rounding() * secret**power for power in range(components))
    predicted = deviations.slot_deviation(ring, deviations.division_variance(ring, components))
    assert close(deviation(total), predicted)
    if components == 2:
        assert predicted == deviations.rescale_deviation(ring)


def test_key_switch(ring):
    sample = Sampler(ring)
    digits, special = (2**20, 2**21, 2**18), 2**21
    total = sum(sample.rounding(q) * sample.errors() for q in digits) / special
    added = deviations.key_switch_variance(ring, digits, special)
    assert close(deviation(total), deviations.slot_deviation(ring, added))
    both = deviations.slot_deviation(ring, added + deviations.division_variance(ring))
    assert both == pytest.approx(np.hypot(deviation(total), deviations.rescale_deviation(ring)), rel=0.04)
    equal = deviations.key_switch_variance(ring, [1, 1, 1], 2) + deviations.division_variance(ring)
    assert deviations.key_switch_deviation(ring, 0.5, 3) == pytest.approx(
        deviations.slot_deviation(ring, equal)
    )


def test_formulas_scale_as_they_should():
    small, large = Ring(2**10, True), Ring(2**14, True)
    assert deviations.fresh_deviation(large) == pytest.approx(4 * deviations.fresh_deviation(small))
    ratio = deviations.rescale_deviation(large) / deviations.rescale_deviation(small)
    assert ratio == pytest.approx(16, rel=1e-2)
    # a real slot collects the variance of 2N coefficients; the real part of a complex one, of N/2
    standard = Ring(2**10)
    ratio = deviations.slot_deviation(small, 1.0) / deviations.slot_deviation(standard, 1.0)
    assert ratio == pytest.approx(2)
