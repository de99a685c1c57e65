"""Where a step stands when its operations are counted: levels in limbs, and how bootstraps are done."""

import dataclasses

from fhejax.ckks import BootstrappingParameters
from fhejax.ckks.counts import LimbTable, SwitchedLimbs


@dataclasses.dataclass(frozen=True)
class StepPlace:
    """The place of a step in a planned program.

    Attributes:
        table: the limbs of each level.
        before: the level of the step's first source, or of the step itself if it has none.
        read: ciphertexts of the first source.
        bootstrapping: the parameters of bootstraps, if there are any.
    """

    table: LimbTable
    before: int
    read: int = 0
    bootstrapping: BootstrappingParameters | None = None

    @property
    def switched(self) -> SwitchedLimbs:
        """The limbs that a key switch of the first source meets."""
        return self.table.switched(self.before)

    @property
    def limbs(self) -> int:
        """The limbs of the first source."""
        return self.table.limbs(self.before)

    @property
    def slots(self) -> int:
        """The slots of the ring."""
        return self.table.params.slots

    def division(self, level: int) -> tuple[int, int]:
        """The limbs that a division from the first source's level to a lower one drops, and those left."""
        return self.table.dropped(self.before, level), self.table.limbs(level)
