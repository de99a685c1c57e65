"""The finished results of a call, kept so that one that was stopped goes on: where, and of which steps."""

import dataclasses
from typing import Protocol

import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.program.circuit.nodes.input import InputStep
from fhejax.program.costs.fitted import step_seconds
from fhejax.program.levels.plan import ProgramPlan
from fhejax.program.levels.tile_choice import ciphertext_bytes

Place = tuple[int, int, int]  # the block, the step, and the number of the tile of its result

_DISK = 3e8  # bytes a second that are written to a disk, about
_SHARE = 1 / 6  # of the time that a result takes, for writing it


class Store(Protocol):
    """Where results are kept: each appears whole or not at all. Several threads may write."""

    def places(self) -> frozenset[Place]:
        """The places of all results that are there."""
        ...

    def read(self, place: Place) -> Ciphertext:
        """The result at a place."""
        ...

    def write(self, place: Place, result: Ciphertext) -> None:
        """Keep a result."""
        ...

    def remove(self, place: Place) -> None:
        """Forget a result."""
        ...

    def blank(self, shape: tuple[int, ...]) -> np.ndarray:
        """An array uint32 of zeros in a file that vanishes with it."""
        ...


@dataclasses.dataclass(frozen=True)
class FinishedResults:
    """The results of one block that are there already, or will be kept.

    Attributes:
        store: where they are.
        steps: those whose results are kept.
        block: its number.
    """

    store: Store
    steps: frozenset[int]
    block: int = 0

    def known(self) -> frozenset[tuple[int, int]]:
        """The step and tile of each result that is there."""
        return frozenset((step, tile) for block, step, tile in self.store.places() if block == self.block)

    def read(self, step: int, tile: int = 0) -> Ciphertext:
        """A result that is there."""
        return self.store.read((self.block, step, tile))

    def keep(self, result: Ciphertext, step: int, tile: int = 0) -> None:
        """Keep a result, if it is one of those that are kept."""
        if step in self.steps:
            self.write(result, step, tile)

    def write(self, result: Ciphertext, step: int, tile: int = 0) -> None:
        """Keep any result, such as one for which there is no room in memory."""
        self.store.write((self.block, step, tile), result)

    def remove(self, step: int, tile: int = 0) -> None:
        """Forget a result that nothing will ask for again."""
        self.store.remove((self.block, step, tile))


def kept_steps(plan: ProgramPlan) -> frozenset[int]:
    """The steps whose results are worth a file: what a call returns, and what is quick to write.

    That is a result which a disk takes in a sixth of the time in which the device makes it, from what is
    kept before it; and of several in a row the narrowest, such as what a relinearisation makes after pooling.

    Args:
        plan: of the program.
    """
    sizes = [step.size * ciphertext_bytes(plan, step) for step in plan.steps]
    read_by: dict[int, list[int]] = {}
    for number, step in enumerate(plan.steps):
        for source in step.sources:
            read_by.setdefault(source, []).append(number)
    kept, since = set(plan.outputs), []
    for number, step in enumerate(plan.steps):
        seconds = step_seconds(plan, number, plan.device) + sum(since[source] for source in set(step.sources))
        if step.bootstraps and plan.bootstrapping is not None:
            seconds += step.bootstraps * plan.bootstrapping.predicted_seconds(plan.device)
        quick = sizes[number] <= _DISK * _SHARE * seconds
        narrow = any(sizes[reader] >= sizes[number] for reader in read_by.get(number, ()))
        if quick and narrow and not isinstance(step, InputStep):
            kept.add(number)
        since.append(0.0 if number in kept else seconds)
    return frozenset(kept)
