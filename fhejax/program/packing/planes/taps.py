"""Maps between planes as taps: distances within a plane, scalar weights between channels, and masks.

Distances are true differences of slots and are counted modulo nothing: beyond the end of one image's plane
lies the next image. A map reads there only for slots that nobody reads.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_array

from fhejax.program.circuit.nodes.in_slots.plane_map import PlaneMap

_MOST_TAPS = 4096
_DIGITS = 9  # decimal ones, up to which patterns of coefficients are the same


@dataclasses.dataclass
class _Tap:
    """Coefficients at one distance: a mask, NaN where any number will do, and weights by pairs of planes."""

    distance: int
    mask: np.ndarray
    weights: dict[int, float]


def plane_map(
    matrix: csr_array, period: int, counts: tuple[int, int], live: np.ndarray, zero: np.ndarray
) -> PlaneMap:
    """A plain linear map between planes as taps.

    Args:
        matrix: float64 [position of the result, position of the source].
        period: slots of a plane.
        counts: of ciphertexts of the result and of the source.
        live: bool [position of the result], those that anything reads.
        zero: bool [position of the source], those that hold zero.

    Raises:
        ValueError: where scalar weights and masks would be too many.
    """
    terms = matrix.tocoo()
    rows, columns = (np.asarray(a, np.int64) for a in (terms.row, terms.col))
    (results, places), (sources, read) = (divmod(a, period) for a in (rows, columns))
    pairs = results * counts[1] + sources
    distances = read - places
    order = np.argsort(((distances + period) * (counts[0] * counts[1]) + pairs) * period + places)
    distances, pairs, places, values = (a[order] for a in (distances, pairs, places, terms.data))
    live, zero = live.reshape(counts[0], period), zero.reshape(counts[1], period)
    found: list[_Tap] = []
    starts = np.flatnonzero(np.r_[True, np.diff(distances) != 0]) if len(distances) else np.zeros(0, int)
    for start, stop in zip(starts, [*starts[1:], len(distances)], strict=True):
        part = slice(start, stop)
        for tap in _taps(int(distances[start]), pairs[part], places[part], values[part], live, zero):
            _merge(found, tap)
            if len(found) > _MOST_TAPS:
                raise ValueError(
                    f"a linear map in which pixels meet at more than {_MOST_TAPS} distances, or with other "
                    f"weights for each, which packing='planes' would take a rotation and a mask for; use "
                    f"packing='multiplexed' or packing='sample-per-slot'"
                )
    return _as_map(found, period, counts)


def _taps(
    distance: int,
    pairs: np.ndarray,
    places: np.ndarray,
    values: np.ndarray,
    live: np.ndarray,
    zero: np.ndarray,
) -> Iterator[_Tap]:
    """The taps at one distance, one for each pattern of coefficients over the plane."""
    period = live.shape[1]
    names, starts = np.unique(pairs, return_index=True)
    most, least = np.maximum.reduceat(values, starts), np.minimum.reduceat(values, starts)
    weights = np.where(most >= -least, most, least)
    lengths = np.diff([*starts, len(pairs)])
    relative = np.round(values / np.repeat(weights, lengths), _DIGITS)
    for members, used, pattern in _patterns(starts, lengths, places, relative):
        results, sources = np.unique(names[members] // len(zero)), np.unique(names[members] % len(zero))
        read = (np.arange(period) + distance) % period  # in a neighbour's plane too
        nothing = np.all(zero[sources][:, read], axis=0)
        mask = np.where(live[results].any(0) & ~nothing, 0.0, np.nan)
        mask[used] = pattern
        held = dict(zip(names[members].tolist(), weights[members].tolist(), strict=True))
        yield _Tap(distance, mask, held)


def _patterns(
    starts: np.ndarray, lengths: np.ndarray, places: np.ndarray, relative: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The pairs of ciphertexts of each pattern, the places that it covers, and its numbers there."""
    if (lengths == lengths[0]).all():
        used, numbers = (a.reshape(len(starts), -1) for a in (places, relative))
        if (used == used[0]).all() and (numbers == numbers[0]).all():
            yield np.arange(len(starts)), used[0], numbers[0]
            return
    groups: dict[bytes, list[int]] = {}
    for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        part = slice(start, start + length)
        groups.setdefault(places[part].tobytes() + relative[part].tobytes(), []).append(number)
    for members in groups.values():
        part = slice(starts[members[0]], starts[members[0]] + lengths[members[0]])
        yield np.array(members), places[part], relative[part]


def _merge(found: list[_Tap], tap: _Tap) -> None:
    """Add a tap, to one of the same distance where no slot needs another number."""
    for other in reversed(found):
        if other.distance != tap.distance:
            break
        both = ~np.isnan(other.mask) & ~np.isnan(tap.mask)
        if (other.mask[both] == tap.mask[both]).all():
            other.mask = np.where(np.isnan(other.mask), tap.mask, other.mask)
            other.weights |= tap.weights
            return
    found.append(tap)


def _as_map(found: Sequence[_Tap], period: int, counts: tuple[int, int]) -> PlaneMap:
    weights = np.zeros((len(found), *counts))
    masks = np.ones((len(found), period))
    for number, tap in enumerate(found):
        pairs = np.array(list(tap.weights))
        weights[number, pairs // counts[1], pairs % counts[1]] = list(tap.weights.values())
        known = ~np.isnan(tap.mask)
        if (tap.mask[known] != 1.0).any():
            masks[number] = np.where(known, tap.mask, 0.0)
    held = None if (masks == 1.0).all() else masks
    return PlaneMap(period, tuple(tap.distance for tap in found), weights, held)


def folded(maps: Sequence[PlaneMap]) -> tuple[list[PlaneMap], tuple[int, ...]]:
    """Maps of fewer taps and the rotations by which their sum is added to itself, in order: the same map.

    Sums over windows are found so, also where a matrix follows them: it is then done before the sum.
    """
    maps, folds = list(maps), []
    while all(one.masks is None for one in maps):
        halves = next(_halvings(maps), None)
        if halves is None:
            break
        maps, fold = halves
        folds.append(fold)
    return maps, tuple(folds)


def _halvings(maps: Sequence[PlaneMap]) -> Iterator[tuple[list[PlaneMap], int]]:
    first = maps[0]
    for number in range(1, len(first.distances)):
        step = first.distances[number] - first.distances[0]
        if (first.weights[number] == first.weights[0]).all():
            halves = [_half(one, step) for one in maps]
            known = [half for half in halves if half is not None]
            if len(known) == len(maps):
                yield known, step


def _half(one: PlaneMap, step: int) -> PlaneMap | None:
    """The taps to which those at a step from them are equal; None where some are left."""
    numbers = {distance: number for number, distance in enumerate(one.distances)}
    left, kept = dict(numbers), []
    for distance in sorted(numbers, reverse=step < 0):
        if distance not in left:
            continue
        partner = distance + step
        if partner not in left or (one.weights[left[distance]] != one.weights[left[partner]]).any():
            return None
        kept.append(left.pop(distance))
        left.pop(partner)
    distances = tuple(one.distances[number] for number in kept)
    return PlaneMap(one.period, distances, one.weights[kept], None)


def steps_of_sum(offsets: Sequence[int]) -> tuple[int, ...] | None:
    """The steps whose subsets add up to given numbers, ascending from 0, each once; or None."""
    ones = PlaneMap(1, tuple(offsets), np.ones((len(offsets), 1, 1)), None)
    (left,), steps = folded([ones])
    return steps if left.distances == (0,) else None
