"""Noise: estimates that go through a circuit in place of its ciphertexts."""

from fhejax.ckks.noise.estimates import NoiseEstimate, estimate

__all__ = [
    "NoiseEstimate",
    "estimate",
]
