"""Coefficients to slots and slots to coefficients, homomorphically: a few encoded matrices each.

Each matrix is a linear transform with double hoisting, whose giant steps are a chain of rotations by one
distance, ((g_k rotated + g_(k-1)) rotated + ..): as many key switches as giant steps with keys of their own,
from a single key (Horner's rule, as in Kim et al., "ARK: fully homomorphic encryption accelerator with
runtime data generation and inter-operation key reuse", 2022). At the top of the modulus one key of N = 2^16
weighs 150 megabytes. Baby steps have a key each and share a decomposition, or a single key for all of them:
see `minimum_keys`.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax
import numpy as np

from fhejax.ckks.bootstrapping.fourier_factors import (
    Diagonals,
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
)
from fhejax.ckks.bootstrapping.minimum_keys import counted_from_zero, split_walks
from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.keys.switching import divide_by_special
from fhejax.ckks.levels import divided_to
from fhejax.ckks.linear_transform.double_hoisting import lift
from fhejax.ckks.linear_transform.extended_steps import BabySteps, Steps
from fhejax.ckks.linear_transform.transform import LinearTransform, linear_transform
from fhejax.ckks.linear_transform.transform_noise import estimate_linear_transform
from fhejax.ckks.noise.estimates import NoiseEstimate
from fhejax.ckks.operation import Found, Keys, Value, operation
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    check_same_parameters,
    static,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class FourierFactor:
    """One matrix of a homomorphic transform.

    stride: between its giant steps, which start at 0. unit: between its baby steps, where these start at
    0 and are rotations of one another; 0 where each has a key of its own.
    """

    transform: LinearTransform
    stride: int = static()
    unit: int = dataclasses.field(default=0, metadata={"static": True})

    @property
    def rotations(self) -> tuple[int, ...]:
        """The rotation keys it takes."""
        return _keys_of(self.transform.steps, self.stride, self.unit)

    def __repr__(self) -> str:
        return f"FourierFactor({self.transform!r}, {len(self.rotations)} keys)"


def slots_to_coefficients_matrices(
    params: Parameters,
    slots: int,
    stages: Sequence[int],
    level: int,
    scale: Scale,
    minimum_keys: bool = False,
    transformed: bool = True,
) -> tuple[FourierFactor, ...]:
    """The matrices that put the values of n slots into coefficients: t_k + i t_(k+n) is slot R(k).

    Args:
        params: of the standard ring.
        slots: n; in a ring of more slots the argument repeats itself with this period, as does the result.
        stages: butterflies in each matrix, the first applied first.
        level: of the argument; each matrix takes one.
        scale: by which the transform as a whole multiplies the scale of its argument.
        minimum_keys: two keys for each matrix, at more time and noise: see `minimum_keys`.
        transformed: hold diagonals as residues, ready for use; else as numbers, of which less is to be made,
            and from which noise is predicted in a fraction of the time.

    Raises:
        ValueError: stages that do not add up, or too few levels.
    """
    factors = slots_to_coefficients_factors(slots, stages)
    return _encoded(params, factors, level, scale, minimum_keys, transformed)


def coefficients_to_slots_matrices(
    params: Parameters,
    slots: int,
    stages: Sequence[int],
    level: int,
    scale: Scale,
    minimum_keys: bool = False,
    transformed: bool = True,
) -> tuple[FourierFactor, ...]:
    """The matrices of the inverse of `slots_to_coefficients_matrices`, arguments and errors as there."""
    factors = coefficients_to_slots_factors(slots, stages)
    return _encoded(params, factors, level, scale, minimum_keys, transformed)


def _encoded(
    params: Parameters,
    factors: list[Diagonals],
    level: int,
    scale: Scale,
    minimum_keys: bool,
    transformed: bool,
) -> tuple[FourierFactor, ...]:
    """The change of scale is shared evenly; the last matrix makes it exact."""
    if level < len(factors):
        raise ValueError(
            f"a transform of {len(factors)} matrices from level {level} on was asked for; it takes as many "
            "levels."
        )
    each = Scale.of(2.0 ** (scale.bits / len(factors)))
    found, left = [], scale
    for number, diagonals in enumerate(_arranged(factors, minimum_keys)):
        last = number == len(factors) - 1
        change = left if last else each
        left = left / change
        weight = change * params.rescale_factor(level - number, level - number - 1)
        found.append(_encode(params, diagonals, (level - number, weight), minimum_keys, transformed))
    return tuple(found)


def _arranged(factors: Sequence[Diagonals], minimum_keys: bool) -> Sequence[Diagonals]:
    return counted_from_zero(factors) if minimum_keys else factors


def _encode(
    params: Parameters, diagonals: Diagonals, at: tuple[int, Scale], minimum_keys: bool, transformed: bool
) -> FourierFactor:
    """One matrix, encoded at a level and scale."""
    level, scale = at
    unit, stride, split = _split(tuple(diagonals), params.slots, minimum_keys)
    period = len(next(iter(diagonals.values())))
    tiled = {d: np.tile(v, params.slots // period) for d, v in diagonals.items()}
    transform = linear_transform(
        params, tiled, level=level, scale=scale, split=split, transformed=transformed
    )
    return FourierFactor(transform, stride, unit)


def _split(
    distances: Sequence[int], slots: int, minimum_keys: bool
) -> tuple[int, int, dict[int, tuple[int, int]]]:
    """(unit or 0, stride, {distance: (giant, baby)}), as `FourierFactor` has them."""
    return split_walks(distances) if minimum_keys else (0, *split_chain(distances, slots))


def split_chain(distances: Sequence[int], slots: int) -> tuple[int, dict[int, tuple[int, int]]]:
    """(stride of the giant steps, {distance: (giant, baby)} modulo the slots), for equally spaced distances.

    Giant steps are 0, stride, 2 stride and so on; baby steps start at the first distance.
    """
    line = np.array(sorted(distances))
    unit = int(np.gcd.reduce(np.diff(line))) if len(line) > 1 else 1
    count = int(line[-1] - line[0]) // unit + 1
    babies = _baby_count(count)
    first, stride = int(line[0]), babies * unit
    groups, places = np.divmod((line - first) // unit, babies)
    split = {
        int(d) % slots: (int(group) * stride % slots, (first + int(place) * unit) % slots)
        for d, group, place in zip(line, groups, places, strict=True)
    }
    return stride % slots, split


def factor_rotations(
    factors: Sequence[Diagonals], slots: int, minimum_keys: bool = False
) -> list[tuple[int, ...]]:
    """The rotation keys that each of the matrices of a transform takes, `slots` being the ring's."""
    return [rotations_of(tuple(d), slots, minimum_keys) for d in _arranged(factors, minimum_keys)]


def factor_steps(
    factors: Sequence[Diagonals], slots: int, minimum_keys: bool = False
) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """(unit or 0, (giant, baby) of each diagonal) of each matrix of a transform, as `FourierFactor` has them.

    Args:
        factors: in the order in which they are applied.
        slots: of the ring.
        minimum_keys: whether each takes two keys.
    """
    splits = [_split(tuple(d), slots, minimum_keys) for d in _arranged(factors, minimum_keys)]
    return [(unit, tuple(split.values())) for unit, _, split in splits]


def rotations_of(distances: Sequence[int], slots: int, minimum_keys: bool = False) -> tuple[int, ...]:
    """The rotation keys that a matrix with diagonals at these distances takes."""
    unit, stride, split = _split(distances, slots, minimum_keys)
    return _keys_of(tuple(split.values()), stride, unit)


def _keys_of(steps: Sequence[tuple[int, int]], stride: int, unit: int) -> tuple[int, ...]:
    """The distances of the keys for (giant, baby) steps, in ascending order."""
    babies = {baby for _, baby in steps} - {0}
    giants = {giant for giant, _ in steps} - {0}
    return tuple(sorted(({unit} if unit and babies else babies) | ({stride} if giants else set())))


def _baby_count(count: int) -> int:
    """Hoisted steps, about the square root, such that no giant step is nearly empty."""
    steps = math.ceil(math.sqrt(count))
    return math.ceil(count / math.ceil(count / steps))


def apply_factors(keys: Keys, ciphertext: Value, factors: Sequence[FourierFactor]) -> Value:
    """The matrices one after the other, one level each.

    Args:
        keys: with the rotations of each factor at its level; for a `NoiseEstimate` None will do.
        ciphertext: data [..., 2, limb, N] at the level of the first factor.

    Raises:
        ValueError: missing keys (all of a factor are named), other parameters or secrets, or another level.
    """
    for factor in factors:
        ciphertext = _apply(keys, ciphertext, factor)
    return ciphertext


def _apply(keys: Keys, ciphertext: Value, factor: FourierFactor) -> Value:
    transform, level = factor.transform, factor.transform.level
    check_same_parameters(ciphertext, transform)
    if ciphertext.level != level or ciphertext.components != 2:
        raise ValueError(
            f"a matrix of a homomorphic Fourier transform for level {level} met a ciphertext of "
            f"{ciphertext.components} components at level {ciphertext.level}; it needs 2 at its own level."
        )
    return _transformed(keys, ciphertext, factor)


def _noise(x: NoiseEstimate, factor: FourierFactor) -> NoiseEstimate:
    return estimate_linear_transform(x, factor.transform, factor.transform.level - 1, factor.unit)


def _exponents(ciphertext: object, factor: FourierFactor) -> list[int]:
    del ciphertext
    return [rotation_exponent(factor.transform.params, distance) for distance in factor.rotations]


@operation(noise=_noise, keys=_exponents)
def _transformed(keys: Found, ciphertext: Ciphertext, factor: FourierFactor) -> Ciphertext:
    params, level = factor.transform.params, factor.transform.level
    total = _undivided(Steps(keys, params, level), ciphertext.data, factor)
    data = divide_by_special(total, params, level, level - 1)
    product = ciphertext.replace(scale=ciphertext.scale * factor.transform.scale)
    return divided_to(product, data, level - 1)


def _undivided(steps: Steps, data: jax.Array, factor: FourierFactor) -> jax.Array:
    """P times the result, uint32 [..., 2, limb of Q then P, N]: the last giant step first, by Horner."""
    transform = factor.transform
    babies = _baby_walk(steps, data, factor) if factor.unit else steps.babies(data, [transform])
    last, *others = reversed(transform.giants)
    total = steps.summed(babies, transform, last, None)
    for giant in others:
        inner = steps.summed(babies, transform, giant, None)
        total = steps.rotated(total, factor.stride, inner)
    return total


def _baby_walk(steps: Steps, data: jax.Array, factor: FourierFactor) -> BabySteps:
    """P times the ciphertext rotated by each multiple of the unit up to the last baby step."""
    distances = range(0, factor.transform.babies[-1] + 1, factor.unit)
    pairs = [lift(data, steps.params, steps.level)]
    for _ in distances[1:]:
        pairs.append(steps.rotated(pairs[-1], factor.unit))
    return BabySteps({distance: number for number, distance in enumerate(distances)}, pairs)
