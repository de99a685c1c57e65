"""The noise that linear transforms add, by the rules of `noise_estimate`, or from the norms of their rows."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from fhejax.ckks.keys.generation import rotation_exponent
from fhejax.ckks.linear_transform.transform import LinearTransform
from fhejax.ckks.noise.estimates import NoiseEstimate, as_estimate, divided, encoded_message, encoding_gain
from fhejax.ckks.noise.propagation import Message, digest, permuted, product, weighted_messages, with_source
from fhejax.ckks.parameters import deviations
from fhejax.ckks.parameters.scale import Scale
from fhejax.ckks.types import Plaintext

Row = Sequence[LinearTransform | None]
Term = tuple[int, int, int, Message]  # giant, number of the ciphertext, baby, diagonal
_FOLLOWED = 64  # terms of a row, up to which each source of noise is followed through each of them


def estimate_linear_transforms(
    x: Sequence[NoiseEstimate], transforms: Sequence[Row], target: int
) -> list[NoiseEstimate]:
    """`apply_linear_transforms` on estimates at the transforms' level, down to level `target`.

    A baby step adds the errors of its key, unrounded, and each diagonal multiplies them, what x has
    of noise, and (with its own rounding) its values. A giant step adds its key's errors and the rounding
    of one component; the last division rounds both.

    In rows of many terms the sources are not told apart any more: what comes out is one new source, of the
    variance that independent slots would have, which takes milliseconds in place of minutes.
    """
    return [_divided(x[0], _summed(x, row), row, target) for row in transforms]


def estimate_linear_transform(
    x: NoiseEstimate, transform: LinearTransform, target: int, unit: int = 0
) -> NoiseEstimate:
    """The same of one transform, each source followed.

    Where `unit` is given, each baby step is the one before it rotated by this distance: it has the noise of
    that one, and adds as much as a giant step does.
    """
    rows = (transform,)
    terms = _terms(rows)
    summed = [_followed([message], terms, x.scale, transform, unit) for message in x.messages]
    return _divided(x, summed, rows, target)


def _first(row: Row) -> LinearTransform:
    return next(transform for transform in row if transform is not None)


def _divided(x: NoiseEstimate, summed: Sequence[Message], row: Row, target: int) -> NoiseEstimate:
    """The sums after the last division, which rounds both components."""
    total = dataclasses.replace(x, messages=tuple(summed), scale=x.scale * _first(row).scale)
    below = divided(total, target)
    variance = deviations.division_variance(x.params.ring)
    rounding = deviations.slot_deviation(x.params.ring, variance) / float(below.scale)
    messages = tuple(with_source(m, rounding, "rescaling", target, below.scale) for m in summed)
    return dataclasses.replace(below, messages=messages)


def _summed(x: Sequence[NoiseEstimate], row: Row) -> list[Message]:
    """The sum of all terms of a row for each ciphertext of the batch, before the last division."""
    batches, first = zip(*(each.messages for each in x), strict=True), _first(row)
    if sum(len(transform.steps) for transform in row if transform is not None) > _FOLLOWED:
        return [_by_row_norms(messages, row, x[0].scale) for messages in batches]
    terms = _terms(row)
    return [_followed(messages, terms, x[0].scale, first) for messages in batches]


def _terms(row: Row) -> list[Term]:
    """The terms of all transforms of a row, those of one giant step together."""
    found = [
        (giant, number, baby, diagonal)
        for number, transform in enumerate(row)
        if transform is not None
        for (giant, baby), diagonal in zip(transform.steps, _diagonals(transform), strict=True)
    ]
    return sorted(found, key=lambda term: term[:3])


def _diagonals(transform: LinearTransform) -> Sequence[Message]:
    """The values of each diagonal, with the rounding of its encoding as noise."""
    params, level = transform.params, transform.level
    if transform.is_transformed:
        rows = transform.diagonals[:, : len(params.level_moduli(level))]
        return as_estimate(Plaintext(rows, params, level, transform.scale, "evaluation")).messages
    filled, rows = _filled(transform), _numbers(transform, np.float64)
    return [encoded_message(row, row, filled, params, transform.scale) for row in rows]


def _filled(transform: LinearTransform) -> float:
    """The share of a diagonal's coefficients that are not zero.

    One that repeats itself has coefficients at multiples of slots / period alone.
    """
    return 1.0 if transform.is_transformed else transform.diagonals.shape[-1] / transform.params.slots


def _numbers(transform: LinearTransform, dtype: type) -> np.ndarray:
    """The diagonals that are held as numbers: [term, slots], complex where they have imaginary parts."""
    held = np.asarray(transform.diagonals)
    parts = held[:, :, 0] if dtype == np.float32 else held.astype(dtype).sum(2)
    values = parts[:, 0] if parts.shape[1] == 1 else parts[:, 0] + dtype(1) * 1j * parts[:, 1]
    return np.tile(values, transform.params.slots // values.shape[-1])


def _followed(
    messages: Sequence[Message],
    terms: Sequence[Term],
    scale: Scale,
    transform: LinearTransform,
    unit: int = 0,
) -> Message:
    """The sum of all terms, before the last division: every source through every term."""
    ring, slots = transform.params.ring, transform.params.slots
    hoisted, walked, whole = _gains(transform, scale)
    if unit:
        walk = _walk(messages[0], unit, hoisted, walked, transform)
        babies = {(0, baby): message for baby, message in walk.items()}
    else:
        taken = {(number, baby) for _, number, baby, _ in terms}
        babies = {(n, b): _rotated(messages[n], b, hoisted, transform) for n, b in sorted(taken)}

    def summed(group: Iterable[Term]) -> Message:
        products = ((1.0, product(babies[n, baby], diagonal, ring)) for _, n, baby, diagonal in group)
        return weighted_messages(products, slots)

    groups = itertools.groupby(terms, key=lambda term: term[0])
    return weighted_messages(
        ((1.0, _rotated(summed(group), giant, whole, transform)) for giant, group in groups), slots
    )


def _by_row_norms(messages: Sequence[Message], row: Row, scale: Scale) -> Message:
    """The same with all noise as one source: |diagonal|^2 multiplies the variance of what it meets."""
    first = _first(row)
    hoisted, _, whole = _gains(first, scale)
    ring, slots = first.params.ring, first.params.slots
    values, variance = np.zeros(slots, np.complex64), np.zeros(slots, np.float32)
    for message, transform in zip(messages, row, strict=True):
        if transform is not None:
            more = _moments(message, transform, hoisted)
            values, variance = values + more[0], variance + more[1]
    giants = {giant for transform in row if transform is not None for giant in transform.giants} - {0}
    variance = variance + len(giants) * whole**2
    found = values.real.astype(np.float64) if ring.conjugate_invariant else values.astype(np.complex128)
    identity = digest("linear transform", [message.identity for message in messages], found.tobytes())
    return with_source(Message(found, identity, {}), np.sqrt(variance.astype(np.float64)), "linear transform")


def _moments(message: Message, transform: LinearTransform, hoisted: float) -> tuple[np.ndarray, np.ndarray]:
    """(values, variance) of the sum of all terms of one transform, complex64 and float32 [slots]."""
    rows = _decoded(transform) if transform.is_transformed else _numbers(transform, np.float32)
    babies = {baby: number for number, baby in enumerate(transform.babies)}
    moved = np.stack([np.roll(message.values, -baby) for baby in babies])
    before = message.variance()
    rounding = encoding_gain(transform.params, transform.scale, _filled(transform)) ** 2
    noise = np.stack([np.roll(before, -baby) + bool(baby) * hoisted**2 for baby in babies])
    moved, noise, rounded = _single(moved), _single(noise), _single(rounding * np.abs(moved) ** 2)
    slots = transform.params.slots
    values, variance = np.zeros(slots, np.complex64), np.zeros(slots, np.float32)
    for giant, group in itertools.groupby(enumerate(transform.steps), key=lambda step: step[1][0]):
        numbers, places = zip(*((number, babies[baby]) for number, (_, baby) in group), strict=True)
        weights, taken = rows[numbers[0] : numbers[-1] + 1], _view(places)
        inner = _dot(weights, moved[taken])
        spread = _dot(np.square(np.abs(weights)), noise[taken]) + rounded[taken].sum(0)
        values, variance = values + np.roll(inner, -giant), variance + np.roll(spread, -giant)
    return values, variance


def _view(places: Sequence[int]) -> slice | list[int]:
    """An index of these rows, which copies none where they follow each other."""
    following = list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[0] + len(places)) if following == list(places) else list(places)


def _single(values: np.ndarray) -> np.ndarray:
    """Single precision; real without an imaginary part, where products take a fourth of the time."""
    if np.iscomplexobj(values) and np.imag(values).any():
        return values.astype(np.complex64)
    return np.real(values).astype(np.float32)


def _dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sum over rows of x * y."""
    return np.einsum("ts,ts->s", x, y)


def _decoded(transform: LinearTransform) -> np.ndarray:
    return np.stack([message.values for message in _diagonals(transform)]).astype(np.complex64)


def _walk(
    message: Message, unit: int, first: float, later: float, transform: LinearTransform
) -> dict[int, Message]:
    """Each multiple of the unit up to the last baby step; only the first step is from an exact pair."""
    babies, gain = {0: message}, first
    for baby in range(unit, transform.babies[-1] + 1, unit):
        babies[baby] = _rotated(babies[baby - unit], unit, gain, transform)
        gain = later
    return babies


def _gains(transform: LinearTransform, scale: Scale) -> tuple[float, float, float]:
    """Standard deviation in a slot of what steps add: a baby, one from a rounded pair, and a giant."""
    params, ring = transform.params, transform.params.ring
    digits = [math.prod(params.moduli[start:stop]) for start, stop in params.digit_ranges(transform.level)]
    key = deviations.key_switch_variance(ring, digits, math.prod(params.special))
    mask = deviations.division_variance(ring) - deviations.ROUNDING_VARIANCE
    hoisted, rounded = (deviations.slot_deviation(ring, variance) for variance in (key, key + mask))
    return hoisted / float(scale), rounded / float(scale), rounded / float(scale * transform.scale)


def _rotated(message: Message, steps: int, gain: float, transform: LinearTransform) -> Message:
    """Without new noise at distance 0."""
    if not steps:
        return message
    moved = permuted(message, transform.params.ring, rotation_exponent(transform.params, steps))
    return with_source(moved, gain, "rotation", transform.level)
