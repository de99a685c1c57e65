"""How the samples of a batch lie in the slots of their blocks: moved by the host, or on the device."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Filling:
    """Sample i is in slot i % slots of block i // slots; one block repeats its samples with a period.

    Attributes:
        blocks: of slots.
        slots: of each.
        columns: after which the samples repeat.
        filler: the number in slots without a sample.
    """

    blocks: int
    slots: int
    columns: int
    filler: float

    def filled(self, entries: Any, xp: Any) -> Any:
        """The numbers in all slots, [block, entry, slot].

        Args:
            entries: [entry, sample], at most as many samples as columns.
            xp: `numpy`, or `jax.numpy` for arrays that are on the device.
        """
        missing = (0, 0), (0, self.columns - entries.shape[1])
        padded = xp.pad(entries, missing, constant_values=self.filler)
        padded = xp.tile(padded, (1, self.blocks * self.slots // self.columns))
        return xp.moveaxis(padded.reshape(len(entries), self.blocks, self.slots), 1, 0)
