"""Noise: estimates that go through a circuit in place of its ciphertexts, and precision measured."""

from fhejax.ckks.doors import public
from fhejax.ckks.noise.estimates import NoiseEstimate, estimate
from fhejax.ckks.noise.precision import OverflowWarning, Precision, PrecisionWarning, precision

__all__ = [
    "NoiseEstimate",
    "OverflowWarning",
    "Precision",
    "PrecisionWarning",
    "estimate",
    "precision",
]

public(globals())
