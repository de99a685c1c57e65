"""The noise that a linear transform adds, by the rules of `noise_estimate`."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.noise.estimates import NoiseEstimate, as_estimate, divided
from fhejax.ckks.noise.propagation import Message, permuted, product, weighted_messages, with_source
from fhejax.ckks.parameters import deviations
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Plaintext

if TYPE_CHECKING:
    from fhejax.ckks.linear_transform.transform import LinearTransform


def estimate_linear_transform(
    x: NoiseEstimate, transform: "LinearTransform", target: int, unit: int = 0
) -> NoiseEstimate:
    """`apply_linear_transform` on an estimate at the transform's level, down to level `target`.

    A baby step adds the errors of its key, unrounded, and each diagonal multiplies them, what x has
    of noise, and (with its own rounding) its values. A giant step adds its key's errors and the rounding
    of one component; the last division rounds both.

    Where `unit` is given, each baby step is the one before it rotated by this distance: it has the noise of
    that one, and adds as much as a giant step does.
    """
    params, level = transform.params, transform.level
    rows = transform.diagonals[:, : len(params.level_moduli(level))]
    diagonals = as_estimate(Plaintext(rows, params, level, transform.scale, "evaluation")).messages
    summed = tuple(_apply(message, diagonals, x.scale, transform, unit) for message in x.messages)
    total = dataclasses.replace(x, messages=summed, scale=x.scale * transform.scale)
    below = divided(total, target)
    variance = deviations.division_variance(params.ring)
    rounding = deviations.slot_deviation(params.ring, variance) / float(below.scale)
    messages = tuple(with_source(m, rounding, "rescaling", target, below.scale) for m in summed)
    return dataclasses.replace(below, messages=messages)


def _apply(
    message: Message, diagonals: Sequence[Message], scale: Scale, transform: "LinearTransform", unit: int
) -> Message:
    """The sum of all terms, before the last division."""
    ring, slots = transform.params.ring, transform.params.slots
    hoisted, walked, whole = _gains(transform, scale)
    if unit:
        babies = _walk(message, unit, hoisted, walked, transform)
    else:
        babies = {baby: _rotated(message, baby, hoisted, transform) for baby in transform.babies}
    terms = zip(transform.steps, diagonals, strict=True)

    def summed(group: Iterable) -> Message:
        products = ((1.0, product(babies[baby], diagonal, ring)) for (_, baby), diagonal in group)
        return weighted_messages(products, slots)

    groups = itertools.groupby(terms, key=lambda term: term[0][0])
    return weighted_messages(
        ((1.0, _rotated(summed(group), giant, whole, transform)) for giant, group in groups), slots
    )


def _walk(
    message: Message, unit: int, first: float, later: float, transform: "LinearTransform"
) -> dict[int, Message]:
    """Each multiple of the unit up to the last baby step; only the first step is from an exact pair."""
    babies, gain = {0: message}, first
    for baby in range(unit, transform.babies[-1] + 1, unit):
        babies[baby] = _rotated(babies[baby - unit], unit, gain, transform)
        gain = later
    return babies


def _gains(transform: "LinearTransform", scale: Scale) -> tuple[float, float, float]:
    """Standard deviation in a slot of what steps add: a baby, one from a rounded pair, and a giant."""
    params, ring = transform.params, transform.params.ring
    digits = [math.prod(params.moduli[start:stop]) for start, stop in params.digit_ranges(transform.level)]
    key = deviations.key_switch_variance(ring, digits, math.prod(params.special))
    mask = deviations.division_variance(ring) - deviations.ROUNDING_VARIANCE
    hoisted, rounded = (deviations.slot_deviation(ring, variance) for variance in (key, key + mask))
    return hoisted / float(scale), rounded / float(scale), rounded / float(scale * transform.scale)


def _rotated(message: Message, steps: int, gain: float, transform: "LinearTransform") -> Message:
    """Without new noise at distance 0."""
    if not steps:
        return message
    moved = permuted(message, transform.params.ring, rotation_exponent(transform.params, steps))
    return with_source(moved, gain, "rotation", transform.level)
