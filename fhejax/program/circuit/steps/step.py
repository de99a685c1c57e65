"""What every step of a program is and can do; a kind is a dataclass that derives from this.

Registers are numbered by the step that makes them. Constants (weights, indices, residues) are named by
their number in the program's list of leaves.
"""

import abc
import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from fhejax.ckks import Ciphertext
from fhejax.ckks.counts import NOTHING, OperationCounts
from fhejax.ckks.keys.manifest import Use
from fhejax.program.circuit.lowering.scales import AnyScale, Real, Whole
from fhejax.program.circuit.lowering.settings import Settings
from fhejax.program.circuit.steps.call import Blocks, Constants, Keys, Live, StepCall
from fhejax.program.circuit.steps.place import StepPlace
from fhejax.ring.platform import Device


@dataclasses.dataclass(frozen=True)
class Step(abc.ABC):
    """One operation on a vector of ciphertexts.

    Attributes:
        operation: the name of the kind, as in reports and files.
        switches_keys: whether an evaluation key is needed.
        rotates: whether a rotation key is.
        masks: whether it has to know which slots hold a sample.
        elementwise: whether each entry of the result is made of the same entry of every source alone.
        compiled_bytes: that XLA keeps of the kernels of a step at a level of its own, in any ring: measured
            on a CPU by the growth of a process from step to step.
        sources: the registers it reads.
        size: ciphertexts in its result; components: 2 or 3 each.
        level, scale: of its result.
        constants: numbers of the leaves it uses, in the order that the kind documents.
        node: the node of the circuit whose value the result is, or -1.
        label: the primitive and source line it comes from; no part of what makes two steps equal.
    """

    operation: ClassVar[str]
    switches_keys: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    masks: ClassVar[bool] = False
    elementwise: ClassVar[bool] = False
    compiled_bytes: ClassVar[int] = 5_000_000

    sources: tuple[int, ...]
    size: int
    components: int
    level: Whole
    scale: AnyScale
    constants: tuple[int, ...] = dataclasses.field(default=(), kw_only=True)
    node: int = dataclasses.field(default=-1, kw_only=True)
    label: str = dataclasses.field(default="", kw_only=True, compare=False)

    @abc.abstractmethod
    def run(self, call: StepCall) -> Ciphertext:
        """The result in one block."""

    def run_blocks(
        self, sources: Sequence[Blocks], leaves: Constants, keys: Keys, live: Live | None, count: int
    ) -> Blocks:
        """The results in every block; what all blocks share is one, computed once.

        Args:
            sources: the blocks of each register that is read.
            leaves: the step's constants.
            keys: of the server.
            live: [block, slot], one where a slot holds a sample and else zero.
            count: blocks of the batch.
        """
        if self.masks:
            sources = [source * (count // len(source)) for source in sources]
        results = []
        for block in range(max(map(len, sources))):
            operands = [source[block % len(source)] for source in sources]
            results.append(self.run(StepCall(operands, leaves, keys, None if live is None else live[block])))
        return tuple(results)

    def cut(self, leaves: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
        """The entries of the result in as many tiles, or fewer: by default one of all.

        An elementwise step is not asked: it has the tiles of its source.

        Args:
            leaves: the step's constants.
            count: a power of two.
        """
        return (np.arange(self.size),)

    def entries_read(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray
    ) -> tuple[np.ndarray | None, ...]:
        """The entries of each source that some entries of the result are made of; None for all of them.

        Args:
            leaves: the step's constants.
            entries: one of the tiles that `cut` made.
        """
        return tuple(entries if self.elementwise else None for _ in self.sources)

    def part(
        self, leaves: Sequence[np.ndarray], entries: np.ndarray, places: np.ndarray
    ) -> tuple["Step", tuple[np.ndarray, ...]]:
        """The step that makes one tile of the result alone, and its constants.

        Args:
            leaves: the step's constants.
            entries: the tile.
            places: for each entry of the first source its number among those that the tile's step is given.
        """
        if not self.elementwise:
            return self, tuple(leaves)
        kept = (leaf[entries] if len(leaf) == self.size else leaf for leaf in leaves)
        return dataclasses.replace(self, size=len(entries)), tuple(kept)

    def work(self, limbs: Real, before: Real, settings: Settings, device: Device) -> tuple[Real, Real]:
        """The nanoseconds of the step beyond reading and writing, and how many kernels it launches.

        Args:
            limbs: of the result; an array where many settings are looked at.
            before: limbs of what is read.
            settings: what the planner chose: the ring, and the digits of key switches.
            device: where the program will run.
        """
        return 0.0, 0

    def switch_calls(self, together: int) -> int:
        """The key switches that follow each other in one block, each of up to so many ciphertexts.

        What is as long to compile counts as one. By default at most: of one ciphertext each.
        """
        return max(len(self.rotations), self.rotations_done, int(self.switches_keys))

    def moved(self, read: int) -> int:
        """The ciphertexts that are read and written.

        Args:
            read: those of all sources.
        """
        return self.size + read

    def counts(self, place: StepPlace) -> OperationCounts:
        """The operations of the step in one block, beside reading and writing its ciphertexts.

        Args:
            place: the levels of a plan in limbs, and where the step stands.
        """
        return NOTHING

    def working_bytes(self, limbs: int, special: int, degree: int) -> int:
        """The bytes that the step takes in one block beside what it reads and makes, where they are many.

        Args:
            limbs: of what it reads.
            special: primes of P.
            degree: of the ring.
        """
        return 0

    @property
    def weight_bits(self) -> Real:
        """The bits by which plain weights raise the scale."""
        return 0.0

    @property
    def title(self) -> str:
        """The step's name in a report."""
        return self.operation

    @property
    def summed_slots(self) -> int:
        """The number of consecutive slots that are added up, by rotations; 0 where none are."""
        return 0

    @property
    def own_keys(self) -> dict[Use, int]:
        """The evaluation keys beside relinearisation and sums of slots, each with its level."""
        return {}

    @property
    def rotations(self) -> tuple[int, ...]:
        """The slot distances for which the step needs rotation keys."""
        return ()

    @property
    def rotations_done(self) -> int:
        """The number of rotations, one after the other, by which slots of one block are added up."""
        return 0

    @property
    def plaintext_products(self) -> int:
        """The number of products with encoded slots in one block."""
        return 0

    @property
    def bootstraps(self) -> int:
        """The number of bootstraps that the step takes in one block."""
        return 0

    def placed(self, top: int) -> "Step":
        """The step with its level counted from the bottom; until then it is minus the primes dropped."""
        return dataclasses.replace(self, level=top + self.level)


def equal_runs(size: int, count: int) -> tuple[np.ndarray, ...]:
    """The numbers below `size` in order, in `count` runs that are equally long, or in fewer.

    Args:
        size: how many numbers.
        count: a power of two.
    """
    return tuple(np.arange(size).reshape(math.gcd(size, count), -1))
