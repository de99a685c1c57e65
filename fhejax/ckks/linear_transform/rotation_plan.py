"""Which rotations a linear transform takes: baby steps and giant steps, chosen by predicted cost.

A diagonal at distance d is reached as d = giant + baby. Babies are hoisted and so cheap; giants are key
switches of their own. The distances 0 take none.
"""

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from fhejax.ckks.keys.generation import digit_ranges
from fhejax.ckks.parameters.parameters import Parameters
from fhejax.ring.platform import TWO_CORES, Device

_ALIGNMENTS = 32


@dataclasses.dataclass(frozen=True)
class Costs:
    """Relative costs of rotations: of one more hoisted baby step, and of one more giant step."""

    baby: float
    giant: float


def rotation_costs(params: Parameters, level: int, device: Device = TWO_CORES) -> Costs:
    """The costs of rotations on a device, in nanoseconds.

    Not on the current one by default: from these follow the keys that a client makes for a server.
    """
    unit = device.costs
    sizes = [stop - start for start, stop in digit_ranges(params, level)]
    limbs, special = len(params.level_moduli(level)), len(params.special)
    extended = limbs + special
    raised = sum(extended - size for size in sizes)
    baby = 2 * extended * (len(sizes) * unit.multiplied + unit.moved)
    transforms = special + limbs + limbs + raised
    conversions = special * limbs + sum((extended - size) * size for size in sizes)
    logarithm = params.ring.degree.bit_length() - 1
    return Costs(baby, baby + transforms * unit.stage * logarithm + conversions * unit.multiplied)


@dataclasses.dataclass(frozen=True)
class _Grid:
    """A grouping of distances on a line: first + unit * (count * group + place - shift), with its cost."""

    distances: np.ndarray
    first: int
    unit: int
    count: int
    shift: int

    @property
    def positions(self) -> np.ndarray:
        return (self.distances - self.first) // self.unit + self.shift

    @property
    def zero(self) -> int | None:
        """The place at which babies of distance 0 lie if a giant has distance 0 as well, else None."""
        if self.first % self.unit:
            return None
        group, place = divmod(self.shift - self.first // self.unit, self.count)
        groups, places = np.divmod(self.positions, self.count)
        return place if group in groups and place in places else None

    def cost(self, costs: Costs) -> tuple[float, int]:
        """Predicted cost and the number of keys; a giant of distance 0 there always is."""
        groups, places = (len(np.unique(part)) for part in np.divmod(self.positions, self.count))
        babies = places - (self.zero is not None)
        return babies * costs.baby + (groups - 1) * costs.giant, babies + groups - 1

    def steps(self) -> list[tuple[int, int]]:
        """(giant, baby) of each distance."""
        groups, places = np.divmod(self.positions, self.count)
        zero = self.zero
        giants = self.first + self.unit * (self.count * groups - self.shift)
        moved = giants[np.argmin(np.abs(giants))] if zero is None else -self.unit * zero
        return [
            (int(giant - moved), int(self.unit * place + moved))
            for giant, place in zip(giants, places, strict=True)
        ]


def split_distances(
    distances: Collection[int], slots: int, costs: Costs, baby_steps: int | None = None
) -> dict[int, tuple[int, int]]:
    """The (giant, baby) step of each distance, all modulo the slots, at the least cost.

    Distances that are all multiples of a stride, or all as far from one, take steps of that stride.

    Args:
        distances: of the diagonals, not empty.
        slots: modulo which distances count.
        costs: of the two kinds of step.
        baby_steps: how many of them, in strides; by default the cheapest number.
    """
    line = _cut_open(distances, slots)
    unit = int(np.gcd.reduce(np.diff(line))) if len(line) > 1 else 1
    span = int(line[-1] - line[0]) // unit + 1
    counts = _baby_counts(span) if baby_steps is None else [baby_steps]
    grids = [
        _Grid(line, int(line[0]), unit, count, shift)
        for count in counts
        for shift in _shifts(int(line[0]), unit, count)
    ]
    best = min(grids, key=lambda grid: grid.cost(costs))
    steps = zip(line, best.steps(), strict=True)
    return {int(d) % slots: (giant % slots, baby % slots) for d, (giant, baby) in steps}


def _cut_open(distances: Collection[int], slots: int) -> np.ndarray:
    """The distances in order, as integers around 0: the circle is cut where its widest gap is."""
    circle = np.unique([distance % slots for distance in distances])
    gaps = np.diff(circle, append=circle[0] + slots)
    start = int(np.argmax(gaps)) + 1
    return circle if start == len(circle) else np.concatenate([circle[start:] - slots, circle[:start]])


def _baby_counts(span: int) -> list[int]:
    """Every count up to 32, then powers of two and 3 halves of them, and all."""
    powers = [factor * 2**bit for bit in range(5, span.bit_length()) for factor in (1, 1.5)]
    return sorted({count for count in (*range(1, 33), *map(int, powers)) if count < span} | {span})


def _shifts(first: int, unit: int, count: int) -> Iterable[int]:
    """Alignments of the groups: a few, and the one that puts distance 0 at the start of its group."""
    regular = range(0, count, max(1, count // _ALIGNMENTS))
    return sorted({*regular, (first // unit) % count})
