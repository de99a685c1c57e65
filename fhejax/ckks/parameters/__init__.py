"""Parameters of the scheme: a ring, primes, levels, scales, and the security they reach."""

from fhejax.ckks.doors import public
from fhejax.ckks.parameters.options import ParameterOptions
from fhejax.ckks.parameters.parameters import Parameters, insecure_parameters, make_parameters
from fhejax.ckks.parameters.presets import PRESETS, Preset, preset
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.parameters.security import SecurityError

__all__ = [
    "PRESETS",
    "ParameterOptions",
    "Parameters",
    "Preset",
    "Scale",
    "SecurityError",
    "insecure_parameters",
    "make_parameters",
    "preset",
]

public(globals(), without=("insecure_parameters", "make_parameters"))
