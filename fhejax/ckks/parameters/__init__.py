"""Parameters of the scheme: a ring, primes, levels, scales, and the security they reach."""

from fhejax.ckks.parameters.level_table import PRIME_BITS, RATIONAL_BITS, LevelTable
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.parameters import (
    Parameters,
    insecure_parameters,
    make_parameters,
    twiddles_of,
)
from fhejax.ckks.parameters.presets import PRESETS, Preset, preset
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import (
    SecurityError,
    check_security,
    maximum_modulus_bits,
    security_level,
)

__all__ = [
    "PRESETS",
    "PRIME_BITS",
    "RATIONAL_BITS",
    "LevelTable",
    "ParameterOptions",
    "Parameters",
    "Preset",
    "Scale",
    "SecurityError",
    "check_security",
    "insecure_parameters",
    "make_parameters",
    "maximum_modulus_bits",
    "preset",
    "security_level",
    "twiddles_of",
]
