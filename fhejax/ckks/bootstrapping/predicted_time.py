"""How long a bootstrap takes, before anything is made: key switches counted, at a device's fitted cost."""

import dataclasses
from typing import Any

from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.polynomial.product_plan import depth_of_support, plan_evaluation
from fhejax.ckks.polynomial.series import read_series
from fhejax.ring.platform import Device


def predicted_seconds(parameters: Any, device: Device) -> float:
    """The seconds of a bootstrap on a device, warm.

    Args:
        parameters: `BootstrappingParameters`.
        device: whose costs count.
    """
    unit = device.costs
    slower = unit.unhoisted if parameters.minimum_keys else 1.0
    busy = parameters.transform_stages * unit.bootstrap_stage * 1e-9 * slower
    return busy + device.launch * unit.bootstrap_launches


def transform_stages(parameters: Any) -> int:
    """Residues times the stages of their transforms in all key switches of a bootstrap, hoisted ones."""
    params = parameters.params
    levels = dataclasses.replace(parameters, minimum_keys=False).manifest.levels
    rotations = {use: level for use, level in levels.items() if use != "relinearise"}
    rows = sum(switched_residues(params, level) for level in rotations.values())
    middle = (parameters.reduction_level + parameters.output_level) // 2
    rows += 2 * _products(parameters) * switched_residues(params, middle)  # real and imaginary parts
    degree = params.ring.degree
    return rows * degree * (degree.bit_length() - 1)


def switched_residues(params: Parameters, level: int) -> int:
    """Polynomials modulo one prime that a key switch transforms: digits, and the division of two."""
    limbs, special = len(params.level_moduli(level)), len(params.special)
    return (len(params.digit_ranges(level)) + 2) * (limbs + special)


def _products(parameters: Any) -> int:
    """Relinearisations of the modular reduction."""
    supports = (read_series(parameters.cosine).support,)
    plan = plan_evaluation(supports, depth_of_support(supports), True)
    arcsine = 0 if parameters.arcsine is None else parameters.arcsine_degree.bit_length()
    return plan.relinearisations + parameters.double_angles + arcsine
