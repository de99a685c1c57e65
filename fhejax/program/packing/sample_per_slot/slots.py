"""How samples fill the slots: one in each, repeated with a period that is a power of two."""

from collections.abc import Sequence

import numpy as np

from fhejax.program.arguments import Encrypted, filler
from fhejax.program.circuit.graph import Graph
from fhejax.program.circuit.slots import Slots, batch_period

_LONGEST_REPEATED = 4096


def in_slots(graph: Graph, sample: Sequence[np.ndarray], slots: int) -> tuple[list[np.ndarray], Slots]:
    """The arguments, [size, slot], as the client lays them out: repeated, and filled where no sample is.

    Two repetitions behave like any number of them.

    Args:
        graph: whose arguments they are.
        sample: typical arguments, [size, sample] each; fewer than the batch are taken over and over.
        slots: those of one ciphertext.

    Returns:
        The arguments, and which of their columns hold what.
    """
    batch, period = graph.batch, batch_period(graph.batch, slots)
    blocks = -(-batch // slots)
    columns = blocks * slots if blocks > 1 else period
    copies = 2 if 2 * period <= min(slots, 2 * _LONGEST_REPEATED) else 1
    arguments = []
    for argument, values in zip(graph.arguments, sample, strict=True):
        if isinstance(argument, Encrypted):
            fill = filler(argument) if argument.batch_axis is not None else values[:, :1]
            padded = np.empty((len(values), columns))
            padded[:, :batch] = np.resize(values.T, (batch, len(values))).T
            padded[:, batch:] = fill
            values = np.tile(padded, copies)
        arguments.append(values)
    live = np.tile(np.arange(columns) < batch, copies)
    return arguments, Slots(live, columns, columns * copies // blocks)


def with_empty_slot(graph: Graph, sample: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The arguments, [size, sample + 1], of which the last column is a slot without a sample.

    A batch that is a power of two has no such slot: it repeats itself in all of them.

    Args:
        graph: whose arguments they are; no sum runs over its batch.
        sample: typical arguments, [size, sample] each.
    """
    if graph.batch & (graph.batch - 1) == 0:
        return list(sample)
    arguments = []
    for argument, values in zip(graph.arguments, sample, strict=True):
        if isinstance(argument, Encrypted):
            shared = argument.batch_axis is None
            empty = values[:, :1] if shared else np.full((len(values), 1), filler(argument))
            values = np.concatenate([values, empty], 1)
        arguments.append(values)
    return arguments
