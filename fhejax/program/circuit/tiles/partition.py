"""The parts of a register that are made and kept one by one: its tiles."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from fhejax.program.circuit.steps.step import Step


@dataclasses.dataclass(frozen=True, eq=False)
class Partition:
    """The tiles of a register.

    tiles: for each its entries, in the order of its ciphertexts; every entry is in one of them.
    """

    tiles: tuple[np.ndarray, ...]

    @functools.cached_property
    def order(self) -> np.ndarray:
        """The entries in the order in which tiles hold them, one tile after the other."""
        return np.concatenate(self.tiles)

    @functools.cached_property
    def tile_of(self) -> np.ndarray:
        """The tile of each entry."""
        found = np.empty(self.order.size, np.int64)
        found[self.order] = np.repeat(np.arange(len(self.tiles)), list(map(len, self.tiles)))
        return found

    def naming(self, entries: np.ndarray | None) -> tuple[int, ...]:
        """The tiles that hold some entries, or all of them for None, in ascending order."""
        return tuple(range(len(self.tiles)) if entries is None else np.unique(self.tile_of[entries]).tolist())

    def places(self, tiles: Sequence[int]) -> np.ndarray:
        """The number of each entry among those of some tiles, one after the other; -1 where it is in none."""
        found = np.full(self.order.size, -1, np.int64)
        held = np.concatenate([self.tiles[tile] for tile in tiles])
        found[held] = np.arange(len(held))
        return found


def partitions(
    steps: Sequence[Step], constants: Sequence[Sequence[np.ndarray]], counts: Sequence[int]
) -> list[Partition]:
    """The partition of every step's result.

    Args:
        steps: in order.
        constants: of each step.
        counts: the tiles that each is to have, a power of two; a step that cannot be cut so has fewer.
    """
    found: list[Partition] = []
    for step, leaves, count in zip(steps, constants, counts, strict=True):
        alike = step.elementwise and all(found[s] is found[step.sources[0]] for s in step.sources)
        whole = (np.arange(step.size),)
        made = step.cut(leaves, count) if not step.elementwise and count > 1 else whole
        found.append(found[step.sources[0]] if alike else Partition(made))
    return found
