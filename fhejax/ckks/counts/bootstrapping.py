"""The counts of a bootstrap, stage by stage, from its parameters alone."""

import dataclasses
import functools

from fhejax.ckks.bootstrapping.encapsulation import encapsulation_parameters
from fhejax.ckks.bootstrapping.fourier_factors import (
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
)
from fhejax.ckks.bootstrapping.homomorphic_dft import factor_steps
from fhejax.ckks.bootstrapping.parameters import BootstrappingParameters
from fhejax.ckks.counts.key_switching import (
    division_by_special,
    key_reads,
    plaintext_product,
    rotation,
    switch,
    tensor,
)
from fhejax.ckks.counts.limb_table import LimbTable, SwitchedLimbs
from fhejax.ckks.counts.linear_transform import Step, giant_rotation, lifted, linear_transform
from fhejax.ckks.counts.operation_counts import NOTHING, OperationCounts
from fhejax.ckks.counts.polynomial import divided_product, undivided_polynomial, weighted_sum
from fhejax.ckks.polynomial.depth import polynomial_depth

PARTS = 2  # real and imaginary ones, which the modular reduction takes together


@functools.lru_cache(maxsize=64)
def bootstrap(parameters: BootstrappingParameters, table: LimbTable, results: int = 1) -> OperationCounts:
    """The counts of one bootstrap, its matrices and keys read once.

    Args:
        parameters: of the bootstrap.
        table: the limbs of its levels.
        results: 1 where real and imaginary parts are joined at the end or one is left, 2 where both are.
    """
    stages = (
        slots_to_coefficients(parameters, table),
        modulus_raising(parameters, table),
        coefficients_to_slots(parameters, table),
        modular_reduction(parameters, table),
        last_division(parameters, table, results),
    )
    return sum(stages, OperationCounts(bootstraps=1))


def last_division(parameters: BootstrappingParameters, table: LimbTable, results: int) -> OperationCounts:
    """The counts of the relinearisation and division at the end; arguments as of `bootstrap`."""
    return divided_product(table, parameters.output_level + 1, results)


def slots_to_coefficients(parameters: BootstrappingParameters, table: LimbTable) -> OperationCounts:
    """The counts of the first stage, down to level 0."""
    factors = slots_to_coefficients_factors(parameters.slots, parameters.slots_to_coefficients)
    return _matrices(parameters, table, factors, parameters.input_level)


def coefficients_to_slots(parameters: BootstrappingParameters, table: LimbTable) -> OperationCounts:
    """The counts of the third stage, from the highest level, with the conjugation that parts real numbers."""
    factors = coefficients_to_slots_factors(parameters.slots, parameters.coefficients_to_slots)
    at = table.switched(parameters.reduction_level)
    times_i = OperationCounts(products=2 * at.limbs)
    parted = rotation(at) + key_reads(at) + times_i
    return _matrices(parameters, table, factors, parameters.params.depth) + parted


def modulus_raising(parameters: BootstrappingParameters, table: LimbTable) -> OperationCounts:
    """The counts of the second stage: to the sparse secret, to all primes, back; and the trace."""
    params = parameters.params
    small = dataclasses.replace(table, params=encapsulation_parameters(params)).switched(0)
    base, top = table.limbs(0), table.switched(params.depth)
    others = top.limbs - base
    raised = 2 * OperationCounts(transforms=top.limbs, conversions=base * (others + 1))
    gap = (params.slots // parameters.slots).bit_length() - 1
    traced = gap * (rotation(top) + key_reads(top))
    return switch(small) + key_reads(small) + raised + switch(top) + key_reads(top) + traced


def modular_reduction(parameters: BootstrappingParameters, table: LimbTable) -> OperationCounts:
    """The counts of the fourth stage but its last division: a cosine, its doublings, and an arcsine."""
    arcsine = parameters.arcsine
    after = 0 if arcsine is None else polynomial_depth(arcsine.degree)
    level = parameters.output_level + after + parameters.double_angles
    counted = undivided_polynomial(table, parameters.cosine, level, PARTS)
    for _ in range(parameters.double_angles):
        counted += divided_product(table, level + 1, PARTS)
        squared = tensor(table.limbs(level), square=True) + weighted_sum(table.limbs(level), 1)
        counted, level = counted + PARTS * squared, level - 1
    if arcsine is None:
        return counted
    divided = divided_product(table, level + 1, PARTS)
    return counted + divided + undivided_polynomial(table, arcsine, parameters.output_level, PARTS)


def _matrices(
    parameters: BootstrappingParameters, table: LimbTable, factors: list, level: int
) -> OperationCounts:
    """The counts of the matrices of a transform from a level on, one level each."""
    share = min(1.0, parameters.slots / parameters.params.slots)
    counted = NOTHING
    found = factor_steps(factors, parameters.params.slots, parameters.minimum_keys)
    for number, (unit, steps) in enumerate(found):
        above, below = level - number, level - number - 1
        ends = table.dropped(above, below), table.limbs(below)
        counted += _matrix(table.switched(above), unit, steps, share, ends)
    return counted


def _matrix(
    at: SwitchedLimbs, unit: int, steps: tuple[Step, ...], share: float, ends: tuple[int, int]
) -> OperationCounts:
    """The counts of one matrix, whose giant steps share one key, and so do baby steps where a unit is given.

    Args:
        at: the limbs of the ciphertext.
        unit: between baby steps that are rotations of one another; 0 where each has a key.
        steps: of the diagonals.
        share: the diagonals' period over the slots.
        ends: the limbs that the last division drops, and those that it leaves.
    """
    giants = len({giant for giant, _ in steps}) - 1
    if not unit:
        babies = [(0, baby) for _, baby in steps]
        alone = linear_transform(at, babies, share, *ends)
        return alone + giants * giant_rotation(at) + key_reads(at, min(1, giants))
    walked = max(baby for _, baby in steps) // unit
    counted = lifted(at) + (walked + giants) * giant_rotation(at)
    counted += key_reads(at, min(1, walked) + min(1, giants))
    counted += plaintext_product(at.extended, share, len(steps))
    return counted + division_by_special(at, 2, *ends)
