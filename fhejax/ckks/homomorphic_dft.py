"""Coefficients to slots and slots to coefficients, homomorphically: a few encoded matrices each.

Each matrix is a linear transform with double hoisting, whose giant steps are a chain of rotations by one
distance, ((g_k rotated + g_(k-1)) rotated + ..): as many key switches as giant steps with keys of their own,
from a single key (Horner's rule, as in Kim et al., "ARK: fully homomorphic encryption accelerator with
runtime data generation and inter-operation key reuse", 2022). At the top of the modulus one key of N = 2^16
weighs 150 megabytes.
"""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from fhejax.ckks.double_hoisting import decompose, divide_mask, lift, rotate_pair, weighted_sum
from fhejax.ckks.fourier_factors import (
    Diagonals,
    coefficients_to_slots_factors,
    slots_to_coefficients_factors,
)
from fhejax.ckks.key_recorder import note_key
from fhejax.ckks.key_switching import divide_by_special
from fhejax.ckks.keys import rotation_exponent
from fhejax.ckks.linear_transform import LinearTransform, linear_transform
from fhejax.ckks.linear_transform_noise import estimate_linear_transform
from fhejax.ckks.noise_estimate import NoiseEstimate
from fhejax.ckks.parameters import Parameters
from fhejax.ckks.scale import Scale
from fhejax.ckks.types import (
    Ciphertext,
    EvaluationKeys,
    SwitchingKey,
    check_same_key,
    check_same_parameters,
    static,
)
from fhejax.ring import permutation


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class FourierFactor:
    """One matrix of a homomorphic transform. stride: between its giant steps, which start at 0."""

    transform: LinearTransform
    stride: int = static()

    @property
    def rotations(self) -> tuple[int, ...]:
        """The rotation keys it takes."""
        strides = {self.stride} if len(self.transform.giants) > 1 else set()
        return tuple(sorted({*self.transform.babies, *strides} - {0}))

    def __repr__(self) -> str:
        return f"FourierFactor({self.transform!r}, {len(self.rotations)} keys)"


def slots_to_coefficients(
    params: Parameters, slots: int, stages: Sequence[int], level: int, scale: Scale
) -> tuple[FourierFactor, ...]:
    """The matrices that put the values of n slots into coefficients: t_k + i t_(k+n) is slot R(k).

    Args:
        params: of the standard ring.
        slots: n; in a ring of more slots the argument repeats itself with this period, as does the result.
        stages: butterflies in each matrix, the first applied first.
        level: of the argument; each matrix takes one.
        scale: by which the transform as a whole multiplies the scale of its argument.

    Raises:
        ValueError: stages that do not add up, or too few levels.
    """
    return _encoded(params, slots_to_coefficients_factors(slots, stages), level, scale)


def coefficients_to_slots(
    params: Parameters, slots: int, stages: Sequence[int], level: int, scale: Scale
) -> tuple[FourierFactor, ...]:
    """The inverse of `slots_to_coefficients`, arguments and errors as there."""
    return _encoded(params, coefficients_to_slots_factors(slots, stages), level, scale)


def _encoded(
    params: Parameters, factors: list[Diagonals], level: int, scale: Scale
) -> tuple[FourierFactor, ...]:
    """The change of scale is shared evenly; the last matrix makes it exact."""
    if level < len(factors):
        raise ValueError(
            f"a transform of {len(factors)} matrices from level {level} on was asked for; it takes as many "
            "levels."
        )
    each = Scale.of(2.0 ** (scale.bits / len(factors)))
    found, left = [], scale
    for number, diagonals in enumerate(factors):
        last = number == len(factors) - 1
        change = left if last else each
        left = left / change
        weight = change * params.rescale_factor(level - number, level - number - 1)
        found.append(_encode(params, diagonals, level - number, weight))
    return tuple(found)


def _encode(params: Parameters, diagonals: Diagonals, level: int, scale: Scale) -> FourierFactor:
    unit, split = split_chain(tuple(diagonals), params.slots)
    period = len(next(iter(diagonals.values())))
    tiled = {d: np.tile(v, params.slots // period) for d, v in diagonals.items()}
    transform = linear_transform(params, tiled, level=level, scale=scale, split=split)
    return FourierFactor(transform, unit)


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


def rotations_of(distances: Sequence[int], slots: int) -> tuple[int, ...]:
    """The rotation keys that a matrix with diagonals at these distances takes."""
    stride, split = split_chain(distances, slots)
    babies = {baby for _, baby in split.values()}
    strides = {stride} if any(giant for giant, _ in split.values()) else set()
    return tuple(sorted({*babies, *strides} - {0}))


def _baby_count(count: int) -> int:
    """Hoisted steps, about the square root, such that no giant step is nearly empty."""
    steps = math.ceil(math.sqrt(count))
    return math.ceil(count / math.ceil(count / steps))


def apply_factors(
    keys: EvaluationKeys | None, ciphertext: Ciphertext, factors: Sequence[FourierFactor]
) -> Ciphertext:
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


def _apply(keys: EvaluationKeys | None, ciphertext: Ciphertext, factor: FourierFactor) -> Ciphertext:
    transform = factor.transform
    params, level = transform.params, transform.level
    check_same_parameters(ciphertext, transform)
    if ciphertext.level != level or ciphertext.components != 2:
        raise ValueError(
            f"a matrix of a homomorphic Fourier transform for level {level} met a ciphertext of "
            f"{ciphertext.components} components at level {ciphertext.level}; it needs 2 at its own level."
        )
    if isinstance(ciphertext, NoiseEstimate):
        for distance in factor.rotations:
            note_key(keys, rotation_exponent(params, distance), level)
        return estimate_linear_transform(ciphertext, transform, level - 1)
    check_same_parameters(keys, ciphertext)
    check_same_key(keys, ciphertext)
    total = _undivided(_rotation_keys(keys, factor), ciphertext, factor)
    data = divide_by_special(total, params, level, level - 1)
    scale = ciphertext.scale * transform.scale / params.rescale_factor(level, level - 1)
    return ciphertext.replace(data=data, level=level - 1, scale=params.settle(level - 1, scale))


def _rotation_keys(keys: EvaluationKeys, factor: FourierFactor) -> dict[int, SwitchingKey]:
    params, level = factor.transform.params, factor.transform.level
    exponents = {distance: rotation_exponent(params, distance) for distance in factor.rotations}
    found = {d: keys.rotations[e] for d, e in exponents.items() if e in keys.rotations}
    missing = [d for d in exponents if d not in found or found[d].level < level]
    if missing:
        raise ValueError(
            f"a matrix of a homomorphic Fourier transform at level {level} needs the keys of "
            f"{len(missing)} more rotations, by {', '.join(map(str, missing))}; make them with "
            "bootstrapping_keys, or with evaluation_keys(key, secret, rotations=factor.rotations, "
            f"level={level})."
        )
    return found


def _undivided(keys: Mapping[int, SwitchingKey], ciphertext: Ciphertext, factor: FourierFactor) -> jax.Array:
    """P times the result, uint32 [..., 2, limb of Q then P, N]: the last giant step first, by Horner."""
    transform = factor.transform
    babies = _baby_steps(keys, ciphertext, transform)
    groups, start = [], 0
    for giant, steps in itertools.groupby(transform.steps, key=lambda step: step[0]):
        members = tuple(babies[baby] for _, baby in steps)
        groups.append((giant, start, members))
        start += len(members)
    total = None
    for _, start, members in reversed(groups):
        inner = weighted_sum(members, transform.diagonals, np.int32(start), transform.params, transform.level)
        total = inner if total is None else _giant_step(keys[factor.stride], total, inner, factor)
    return total


def _baby_steps(
    keys: Mapping[int, SwitchingKey], ciphertext: Ciphertext, transform: LinearTransform
) -> dict[int, jax.Array]:
    """P times the ciphertext rotated by each baby step, which share its decomposition."""
    params, level = transform.params, transform.level
    lifted = lift(ciphertext.data, params, level)
    if transform.babies == (0,):
        return {0: lifted}
    digits = decompose(ciphertext.data[..., 1, :, :], params, level)
    return {
        baby: rotate_pair(keys[baby], digits, lifted, _positions(params, baby)) if baby else lifted
        for baby in transform.babies
    }


def _giant_step(key: SwitchingKey, total: jax.Array, inner: jax.Array, factor: FourierFactor) -> jax.Array:
    """`total` rotated by the stride, and `inner` added."""
    params, level = factor.transform.params, factor.transform.level
    digits = decompose(divide_mask(total, params, level), params, level)
    return rotate_pair(key, digits, total, _positions(params, factor.stride), inner)


def _positions(params: Parameters, distance: int) -> jax.Array:
    return permutation(params.ring, rotation_exponent(params, distance))
